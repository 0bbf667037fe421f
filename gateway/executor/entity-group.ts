/**
 * The entities of one fetch, each asked for once. Where equal entities hold nothing but their key they are made one
 * object in the data, so that whatever is fetched, merged or looked at for one of them later is done once.
 */
import type { JsonObject } from './json.ts'
import type { Representations } from './representations.ts'

export class EntityGroup {
  readonly representations: Representations
  /** The representations to send, each once. */
  readonly texts: string[] = []
  /** `first[i]` is an entity whose representation is `texts[i]`. */
  readonly first: JsonObject[] = []
  /** More entities: the representation of `others[i]` is `texts[otherIndices[i]]`. */
  readonly others: JsonObject[] = []
  readonly otherIndices: number[] = []
  /** Key value -> index, for the entities of one type whose representation is that type and one key. */
  readonly #byKey = new Map<string, number>()
  #keyType: unknown
  /** For all other entities: by what was already looked at, and by text. */
  #byObject: Map<JsonObject, number> | undefined
  #byText: Map<string, number> | undefined

  constructor(representations: Representations) {
    this.representations = representations
  }

  /** `holder[key]` is the entity. */
  add(entity: JsonObject, holder?: JsonObject | unknown[], key?: string | number): void {
    const index = this.#indexOf(entity)
    if (index === undefined) return
    const same = this.first[index]
    if (same === entity) return
    if (same === undefined) {
      this.first.push(entity)
    } else if (holder !== undefined && key !== undefined && this.#areBare(entity, same)) {
      ;(holder as Record<string | number, unknown>)[key] = same
    } else {
      this.others.push(entity)
      this.otherIndices.push(index)
    }
  }

  /** Where the entity's representation is in `texts`, if it was asked for. */
  indexOf(entity: JsonObject): number | undefined {
    const text = this.representations.text(entity)
    const index = text === undefined ? -1 : this.texts.indexOf(text)
    return index < 0 ? undefined : index
  }

  #areBare(entity: JsonObject, same: JsonObject): boolean {
    return this.representations.isBare(entity) && this.representations.isBare(same)
  }

  /** `undefined` for an entity that lacks something required. */
  #indexOf(entity: JsonObject): number | undefined {
    const key = this.representations.singleKey(entity)
    if (key === undefined || (this.#keyType !== undefined && this.#keyType !== entity.__typename)) {
      return this.#indexByText(entity)
    }
    // Spares the text for most entities: they are of one type and their key is one string that was seen before.
    this.#keyType = entity.__typename
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const text = this.representations.text(entity)
    if (text === undefined) return undefined
    const index = this.texts.push(text) - 1
    this.#byKey.set(key, index)
    return index
  }

  #indexByText(entity: JsonObject): number | undefined {
    this.#byObject ??= new Map()
    this.#byText ??= new Map()
    const known = this.#byObject.get(entity)
    if (known !== undefined) return known
    const text = this.representations.text(entity)
    if (text === undefined) return undefined
    let index = this.#byText.get(text)
    if (index === undefined) {
      index = this.texts.push(text) - 1
      this.#byText.set(text, index)
    }
    this.#byObject.set(entity, index)
    return index
  }
}

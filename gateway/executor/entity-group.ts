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
  readonly #byText = new Map<string, number>()
  /** What was already looked at: an object in several places is one object. */
  readonly #byObject = new Map<JsonObject, number>()
  /** Key value -> index, for representations of one type that consist of one key. */
  readonly #byKey = new Map<unknown, number>()
  #keyType: unknown

  constructor(representations: Representations) {
    this.representations = representations
  }

  /** `holder[key]` is the entity. */
  add(entity: JsonObject, holder?: JsonObject | unknown[], key?: string | number): void {
    if (this.#byObject.has(entity)) return
    const index = this.#indexByKey(entity) ?? this.#indexByText(entity)
    if (index === undefined) return
    const same = this.first[index]
    if (same === undefined) {
      this.first.push(entity)
      this.#byObject.set(entity, index)
    } else if (holder !== undefined && key !== undefined && this.#areBare(entity, same)) {
      ;(holder as Record<string | number, unknown>)[key] = same
    } else {
      this.others.push(entity)
      this.otherIndices.push(index)
      this.#byObject.set(entity, index)
    }
  }

  /** The index of the entity's representation, if it was asked for. */
  indexOf(entity: JsonObject): number | undefined {
    return this.#byObject.get(entity) ?? this.#byText.get(this.representations.text(entity) ?? '')
  }

  #areBare(entity: JsonObject, same: JsonObject): boolean {
    return this.representations.isBare(entity) && this.representations.isBare(same)
  }

  /** Spares the text for most entities: they are of one type and their key is one string that was seen before. */
  #indexByKey(entity: JsonObject): number | undefined {
    const key = this.representations.singleKey(entity)
    if (key === undefined || (this.#keyType !== undefined && this.#keyType !== entity.__typename)) return undefined
    const index = this.#byKey.get(key)
    if (index !== undefined) return index
    this.#keyType = entity.__typename
    const made = this.#indexByText(entity)
    if (made !== undefined) this.#byKey.set(key, made)
    return made
  }

  /** `undefined` for an entity that lacks something required. */
  #indexByText(entity: JsonObject): number | undefined {
    const text = this.representations.text(entity)
    if (text === undefined) return undefined
    const index = this.#byText.get(text)
    if (index !== undefined) return index
    this.#byText.set(text, this.texts.length)
    return this.texts.push(text) - 1
  }
}

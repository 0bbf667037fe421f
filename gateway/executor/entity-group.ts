/**
 * The entities of one fetch, each asked for once. Where entities are equal in everything they are made one object in the
 * data, so that whatever is fetched, merged, looked at or written for one of them later is done once.
 */
import { equalJson, type JsonObject } from './json.ts'
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
  /** For all other entities. */
  #byText: Map<string, number> | undefined

  constructor(representations: Representations) {
    this.representations = representations
  }

  /**
   * Takes an entity that has not been added yet.
   * @returns one that was added before and is equal in everything, where `unite` says that this is looked for
   */
  add(entity: JsonObject, unite: boolean): JsonObject | undefined {
    const index = this.#indexOf(entity)
    if (index === undefined) return undefined
    const same = this.first[index]
    if (same === undefined) {
      this.first.push(entity)
    } else if (unite && equalJson(entity, same)) {
      return same
    } else {
      this.others.push(entity)
      this.otherIndices.push(index)
    }
    return undefined
  }

  /** Where the entity's representation is in `texts`, if it was asked for. */
  indexOf(entity: JsonObject): number | undefined {
    const text = this.representations.text(entity)
    const index = text === undefined ? -1 : this.texts.indexOf(text)
    return index < 0 ? undefined : index
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
    this.#byText ??= new Map()
    const text = this.representations.text(entity)
    if (text === undefined) return undefined
    let index = this.#byText.get(text)
    if (index === undefined) {
      index = this.texts.push(text) - 1
      this.#byText.set(text, index)
    }
    return index
  }
}

/**
 * What was made of the objects at one place of the data, to be taken again where the very same object stands: equal
 * entities are one object there (`fetch.ts`).
 */
interface Known {
  readonly made: unknown
  /** List items in it. */
  readonly items: number
}

export class Projected {
  readonly #known = new Map<unknown, Known>()
  #lookups = 0
  #found = 0

  get(value: unknown): Known | undefined {
    const known = this.#known.get(value)
    this.#lookups += 1
    if (known !== undefined) this.#found += 1
    return known
  }

  set(value: unknown, made: unknown, items: number): void {
    // Where hardly any object comes twice, remembering all of them costs more than it spares.
    if (this.#lookups < 32 || this.#found * 2 > this.#lookups) this.#known.set(value, { made, items })
  }
}

import type { Loader, LoaderContext } from './keyed.ts'

/** Makes a loader; its identity names the loader, so define it once, at module level. */
export type LoaderFactory<K, V> = (context: LoaderContext) => Loader<K, V>

/** The same for a family: one loader for each set of arguments, such as a page's. */
export type LoaderFamily<A, K, V> = (context: LoaderContext, args: A) => Loader<K, V>

/** A query that asks for more different pages of one field than this loads the rest unshared. */
const maxMembers = 200

/** The loaders of one request: made when first used, forgotten with it. */
export interface LoaderRegistry {
  get<K, V>(factory: LoaderFactory<K, V>): Loader<K, V>
  /** `args` are compared by their JSON text. */
  member<A, K, V>(family: LoaderFamily<A, K, V>, args: A): Loader<K, V>
  /** After a write: whatever was loaded may have changed. Prime what is known afterwards. */
  clear(): void
}

export function createLoaderRegistry(context: LoaderContext): LoaderRegistry {
  const single = new Map<unknown, unknown>()
  const families = new Map<unknown, Map<string, unknown>>()
  return {
    get<K, V>(factory: LoaderFactory<K, V>) {
      const known = single.get(factory) as Loader<K, V> | undefined
      if (known !== undefined) return known
      const made = factory(context)
      single.set(factory, made)
      return made
    },
    member<A, K, V>(family: LoaderFamily<A, K, V>, args: A) {
      const members = families.get(family) ?? new Map<string, unknown>()
      families.set(family, members)
      const name = JSON.stringify(args)
      const known = members.get(name) as Loader<K, V> | undefined
      if (known !== undefined) return known
      const made = family(context, args)
      if (members.size < maxMembers) members.set(name, made)
      return made
    },
    clear() {
      single.clear()
      families.clear()
    },
  }
}

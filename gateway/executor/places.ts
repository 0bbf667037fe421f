/**
 * Where a fetch's entities are: a plan's path leads from the root of the data to objects, `@` through every item of a
 * list. Each is given together with what holds it, so that equal entities can be made one object.
 */
import { isObject, own, type JsonObject } from './json.ts'
import { bringsTo, type CompiledFetch } from './plan.ts'

export interface PlaceVisitor {
  /** `holder[key]` is the entity. */
  add(entity: JsonObject, holder: JsonObject | unknown[], key: string | number): void
}

/** The objects at each path of one execution, each once: most fetches of a plan go where another has been. */
export class FoundPlaces {
  readonly #byPath = new Map<string, { readonly path: readonly string[]; readonly objects: readonly JsonObject[] }>()

  /** @param find looks for them where nobody has been yet */
  at({ path, pathKey }: CompiledFetch, find: () => readonly JsonObject[]): readonly JsonObject[] {
    const known = this.#byPath.get(pathKey)
    if (known !== undefined) return known.objects
    const objects = find()
    this.#byPath.set(pathKey, { path, objects })
    return objects
  }

  /** After an answer was merged: below its path there may be more now. */
  merged(fetch: CompiledFetch): void {
    if (fetch.brings.size === 0) return
    for (const [key, { path }] of this.#byPath) if (bringsTo(fetch, path)) this.#byPath.delete(key)
  }
}

/** What is not of the shape that the path was planned for is passed over. */
export function forEachPlace(data: JsonObject, path: readonly string[], visitor: PlaceVisitor): void {
  walk(data, path, 0, visitor, [data], 0)
}

function walk(
  value: unknown,
  path: readonly string[],
  at: number,
  visitor: PlaceVisitor,
  holder: JsonObject | unknown[],
  key: string | number,
): void {
  if (value === null || value === undefined) return
  const step = path[at]
  if (step === undefined) {
    if (isObject(value)) visitor.add(value, holder, key)
  } else if (step === '@') {
    // Another type's field of the same name, selected for a key or a requirement, may be no list; it is not meant.
    if (!Array.isArray(value)) return
    for (let index = 0; index < value.length; index++) walk(value[index], path, at + 1, visitor, value, index)
  } else if (isObject(value)) {
    walk(own(value, step), path, at + 1, visitor, value, step)
  }
}

/** The same objects with their parent objects from the root down, for the few fetches that look upwards. */
export function findPlacesWithParents(
  data: JsonObject,
  path: readonly string[],
): { entity: JsonObject; parents: readonly JsonObject[] }[] {
  const found: { entity: JsonObject; parents: readonly JsonObject[] }[] = []
  function visit(value: unknown, at: number, parents: readonly JsonObject[]): void {
    const step = path[at]
    if (Array.isArray(value)) {
      for (const item of value) visit(item, step === '@' ? at + 1 : at, parents)
    } else if (isObject(value)) {
      if (step === undefined) found.push({ entity: value, parents })
      else visit(own(value, step), at + 1, [...parents, value])
    }
  }
  visit(data, 0, [])
  return found
}

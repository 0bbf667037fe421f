/**
 * Answers of subgraphs are merged into one tree. What was not there is taken over by reference, what both have is
 * merged; so one received entity may come to hang in several places, which is right because equal representations
 * fetched for one path by one fetch have equal answers.
 *
 * A subgraph that knows an interface as an interface object gives its name for the type of everything. `unspecific` are
 * such names: they never take the place of a type that is known, whichever answer comes first.
 */
import { isObject, own, setOwn, type JsonObject } from './json.ts'

export function mergeInto(target: JsonObject, source: JsonObject, unspecific?: ReadonlySet<unknown>): void {
  for (const key in source) {
    const received = source[key]
    if (received === undefined || !Object.hasOwn(source, key)) continue
    const present = own(target, key)
    if (Array.isArray(received)) {
      if (Array.isArray(present) && present.length === received.length) mergeList(present, received, unspecific)
      else setOwn(target, key, received)
    } else if (isObject(received) && typeof present === 'object' && present !== null) {
      if (present !== received) mergeInto(present as JsonObject, received, unspecific)
    } else if (key !== '__typename' || typeof present !== 'string' || unspecific?.has(received) !== true) {
      setOwn(target, key, received)
    }
  }
}

function mergeList(
  present: unknown[],
  received: readonly unknown[],
  unspecific: ReadonlySet<unknown> | undefined,
): void {
  if (present === received) return
  for (const [index, item] of received.entries()) {
    const there = present[index]
    if (isObject(there) && isObject(item)) {
      if (there !== item) mergeInto(there, item, unspecific)
    } else {
      present[index] = item
    }
  }
}

/** For an answer that goes to several fetches of one plan: each may later add its own fields below it. */
export function copyJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copyJson) as T
  if (!isObject(value)) return value
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) setOwn(copy, key, copyJson(value[key]))
  return copy as T
}

/**
 * The planner's rewrites: values set or keys renamed at a path of a representation (before a fetch) or of an answer
 * (after it). A path element is a response name, or `... on Type` which keeps only objects of that type.
 */
import type { FetchDataRewrite } from '@apollo/query-planner'
import type { GraphQLSchema } from 'graphql'
import { isAbstractType, isInterfaceType, isObjectType } from 'graphql'
import { isObject, own, setOwn, type JsonObject } from './json.ts'

const fragmentPrefix = '... on '

export function applyRewrites(schema: GraphQLSchema, rewrites: readonly FetchDataRewrite[], value: unknown): void {
  for (const rewrite of rewrites) {
    const last = rewrite.path.at(-1)
    if (last === undefined) continue
    forEachObject(schema, rewrite.path.slice(0, -1), value, (object) => {
      if (rewrite.kind === 'ValueSetter') {
        setOwn(object, last, rewrite.setValueTo)
        return
      }
      const renamed = own(object, last)
      if (renamed === undefined || renamed === null) return
      setOwn(object, rewrite.renameKeyTo, renamed)
      setOwn(object, last, undefined)
    })
  }
}

/** Calls `change` with every object at the path; lists on the way are gone through. */
function forEachObject(
  schema: GraphQLSchema,
  path: readonly string[],
  value: unknown,
  change: (object: JsonObject) => void,
): void {
  if (Array.isArray(value)) {
    for (const item of value) forEachObject(schema, path, item, change)
    return
  }
  if (!isObject(value)) return
  const [first, ...rest] = path
  if (first === undefined) {
    change(value)
  } else if (first.startsWith(fragmentPrefix)) {
    if (isOfType(schema, value, first.slice(fragmentPrefix.length), true)) forEachObject(schema, rest, value, change)
  } else {
    forEachObject(schema, rest, own(value, first), change)
  }
}

/** By the object's `__typename`; `whenUnknown` answers for an object that has none. */
export function isOfType(schema: GraphQLSchema, object: JsonObject, condition: string, whenUnknown = false): boolean {
  const typename = own(object, '__typename')
  if (typeof typename !== 'string' || typename === '') return whenUnknown
  if (typename === condition) return true
  const type = schema.getType(typename)
  const wanted = schema.getType(condition)
  return isAbstractType(wanted) && (isObjectType(type) || isInterfaceType(type)) && schema.isSubType(wanted, type)
}

/**
 * `@fromContext`: arguments of a subgraph's field whose values come from an object further up in the data. The plan
 * says where with `..` for each step up to the parent object; entities whose values differ are asked for apart, since
 * the values travel as variables of the operation.
 */
import type { FetchDataKeyRenamer } from '@apollo/query-planner'
import type { GraphQLSchema } from 'graphql'
import { isObject, own, type JsonObject } from './json.ts'
import { isOfType } from './rewrites.ts'

export interface ContextArguments {
  /** The variables for an entity, given its parent objects from the root down. */
  variables(parents: readonly JsonObject[], entity: JsonObject): JsonObject
}

const fragmentPrefix = '... on '

export function compileContextArguments(
  schema: GraphQLSchema,
  rewrites: readonly FetchDataKeyRenamer[],
): ContextArguments | undefined {
  if (rewrites.length === 0) return undefined
  return {
    variables(parents, entity) {
      const variables: JsonObject = {}
      for (const { path, renameKeyTo } of rewrites) {
        const steps = path.filter((element) => element === '..').length
        const start = [...parents, entity].at(-1 - steps)
        const value = start && valueAt(schema, path.slice(steps), start)
        if (value !== undefined) variables[renameKeyTo] = value
      }
      return variables
    },
  }
}

/** `undefined` when the object at the path is of another type: the rewrite is then not for it. */
function valueAt(schema: GraphQLSchema, path: readonly string[], value: unknown): unknown {
  const [first, ...rest] = path
  if (first === undefined) return value
  if (Array.isArray(value)) return value.map((item) => valueAt(schema, path, item))
  if (!isObject(value)) return value
  if (first.startsWith(fragmentPrefix)) {
    return isOfType(schema, value, first.slice(fragmentPrefix.length), true) ? valueAt(schema, rest, value) : undefined
  }
  return valueAt(schema, rest, own(value, first))
}

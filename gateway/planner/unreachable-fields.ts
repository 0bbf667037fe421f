/**
 * Fields that a plan forgets. An interface that no object type implements (every subgraph knows it only as an interface
 * object) has no runtime types, so Apollo's planner drops selections on it that it cannot reach and the client would
 * get a silent null. Here every field selected on such an interface must be fetched by something in the plan.
 */
import type { QueryPlan } from '@apollo/query-planner'
import {
  getNamedType,
  GraphQLError,
  isInterfaceType,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type GraphQLSchema,
} from 'graphql'
import { fetchedPlaces } from './fetched-places.ts'

/** @throws GraphQLError naming the first field that cannot be reached. */
export function checkReachable(schema: GraphQLSchema, document: DocumentNode, plan: QueryPlan): void {
  let fetched: ReadonlyMap<string, unknown> | undefined
  const info = new TypeInfo(schema)
  const path: string[] = []
  let inFragment = false
  visit(
    document,
    visitWithTypeInfo(info, {
      FragmentDefinition: {
        enter: () => void (inFragment = true),
        leave: () => void (inFragment = false),
      },
      Field: {
        enter(field) {
          const parent = info.getParentType()
          path.push(field.alias?.value ?? field.name.value)
          if (!isInterfaceType(parent) || schema.getPossibleTypes(parent).length > 0) return
          if (field.name.value.startsWith('__')) return
          fetched ??= fetchedPlaces(plan)
          const known = path.join('.')
          if (fetched.has(known)) return
          // Where a named fragment is spread is not known here; somewhere it must be fetched.
          if (inFragment && [...fetched.keys()].some((other) => other.endsWith(`.${known}`))) return
          throw new GraphQLError(
            `The field "${field.name.value}" of "${getNamedType(parent).name}" cannot be reached here: no subgraph on the way resolves it.`,
            { nodes: field, path, extensions: { code: 'GRAPHQL_VALIDATION_FAILED' } },
          )
        },
        leave: () => void path.pop(),
      },
    }),
  )
}

/**
 * Fields that a plan forgets. An interface that no object type implements (every subgraph knows it only as an interface
 * object) has no runtime types, so Apollo's planner drops selections on it that it cannot reach and the client would
 * get a silent null. Here every field selected on such an interface must be fetched by something in the plan.
 */
import type { PlanNode, QueryPlan } from '@apollo/query-planner'
import {
  getNamedType,
  GraphQLError,
  isInterfaceType,
  parse,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type GraphQLSchema,
} from 'graphql'

/** @throws GraphQLError naming the first field that cannot be reached. */
export function checkReachable(schema: GraphQLSchema, document: DocumentNode, plan: QueryPlan): void {
  let fetched: ReadonlySet<string> | undefined
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
          fetched ??= fetchedPaths(plan)
          const known = path.join('.')
          if (fetched.has(known)) return
          // Where a named fragment is spread is not known here; somewhere it must be fetched.
          if (inFragment && [...fetched].some((other) => other.endsWith(`.${known}`))) return
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

/** Response paths, without list items, of all that the plan's fetches ask for. */
function fetchedPaths(plan: QueryPlan): ReadonlySet<string> {
  const paths = new Set<string>()
  function collect(node: PlanNode | undefined, prefix: readonly string[]): void {
    switch (node?.kind) {
      case undefined:
      case 'Defer':
        return
      case 'Sequence':
      case 'Parallel':
        for (const child of node.nodes) collect(child, prefix)
        return
      case 'Flatten':
        collect(node.node, [...prefix, ...node.path.map(String).filter((step) => step !== '@')])
        return
      case 'Condition':
        collect(node.ifClause, prefix)
        collect(node.elseClause, prefix)
        return
      case 'Fetch': {
        const path = [...prefix]
        visit(parse(node.operation, { noLocation: true }), {
          Field: {
            enter(field) {
              path.push(field.alias?.value ?? field.name.value)
              paths.add((node.requires === undefined ? path : path.toSpliced(prefix.length, 1)).join('.'))
            },
            leave: () => void path.pop(),
          },
        })
        return
      }
      default:
        node satisfies never
    }
  }
  if (plan.node?.kind === 'Subscription') {
    collect(plan.node.primary, [])
    collect(plan.node.rest, [])
  } else {
    collect(plan.node, [])
  }
  return paths
}

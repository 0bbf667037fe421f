import type { PlanNode, QueryPlan } from '@apollo/query-planner'
import { parse, visit } from 'graphql'

/** Response paths, without list items and joined by dots -> the subgraphs that the plan's fetches ask for them. */
export function fetchedPlaces(plan: QueryPlan): ReadonlyMap<string, ReadonlySet<string>> {
  const places = new Map<string, Set<string>>()
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
              const place = (node.requires === undefined ? path : path.toSpliced(prefix.length, 1)).join('.')
              const subgraphs = places.get(place) ?? new Set()
              places.set(place, subgraphs.add(node.serviceName))
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
  return places
}

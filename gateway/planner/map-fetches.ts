import type { FetchNode, PlanNode, QueryPlan } from '@apollo/query-planner'

/** The plan with each of its fetches replaced by what `map` gives for it: one fetch, or several at once. */
export function mapFetches(plan: QueryPlan, map: (fetch: FetchNode) => readonly FetchNode[]): QueryPlan {
  function mapNode(node: PlanNode): PlanNode {
    switch (node.kind) {
      case 'Sequence':
      case 'Parallel':
        return { ...node, nodes: node.nodes.map(mapNode) }
      case 'Flatten':
        return { ...node, node: mapNode(node.node) }
      case 'Condition':
        return {
          ...node,
          ...(node.ifClause && { ifClause: mapNode(node.ifClause) }),
          ...(node.elseClause && { elseClause: mapNode(node.elseClause) }),
        }
      case 'Fetch': {
        const fetches = map(node)
        const [first] = fetches
        return fetches.length === 1 && first !== undefined ? first : { kind: 'Parallel', nodes: [...fetches] }
      }
      case 'Defer':
        return node
      default:
        return node satisfies never
    }
  }
  const { node } = plan
  if (node === undefined) return plan
  if (node.kind !== 'Subscription') return { ...plan, node: mapNode(node) }
  const [primary = node.primary] = map(node.primary)
  return { ...plan, node: { ...node, primary, ...(node.rest && { rest: mapNode(node.rest) }) } }
}

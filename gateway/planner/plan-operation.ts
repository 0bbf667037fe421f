/** From a client's operation to a query plan, by Apollo's planner. */
import { operationFromDocument } from '@apollo/federation-internals'
import { prettyFormatQueryPlan, type QueryPlan } from '@apollo/query-planner'
import type { DocumentNode } from 'graphql'
import { anchorEmptiedFields } from './contradicting-conditions.ts'
import type { PlannableSupergraph } from './supergraph.ts'
import { checkReachable } from './unreachable-fields.ts'

const replansMax = 5

/** @throws GraphQLError when the operation asks for more than the planner's limits allow, or for what nobody resolves. */
export function planOperation(
  supergraph: PlannableSupergraph,
  document: DocumentNode,
  operationName: string | undefined,
): QueryPlan {
  const plannedFor = (asked: DocumentNode): QueryPlan =>
    supergraph.plan(
      operationFromDocument(
        supergraph.plannedSchema,
        anchorEmptiedFields(asked),
        operationName === undefined ? {} : { operationName },
      ),
    )
  const plan = withPartialTypes(supergraph, document, operationName, plannedFor)
  checkReachable(supergraph.schema, document, plan)
  return plan
}

/** Replanned until nothing more is found: what was dropped may hold fields of which the same is true. */
function withPartialTypes(
  { schema, partialTypes }: PlannableSupergraph,
  document: DocumentNode,
  operationName: string | undefined,
  plannedFor: (document: DocumentNode) => QueryPlan,
): QueryPlan {
  let plan = plannedFor(document)
  const chosen = new Map<string, string>()
  for (let round = 0; round < replansMax; round++) {
    const asked = partialTypes.replanned(schema, document, operationName, plan, chosen)
    if (asked === undefined) return plan
    try {
      plan = plannedFor(asked)
    } catch {
      // One subgraph alone cannot give all that is selected there.
      return plan
    }
  }
  return plan
}

/** The plan as people read it: what is fetched from where, in which order, and with which keys. */
export function planText(plan: QueryPlan): string {
  return plan.node === undefined ? 'QueryPlan {}' : prettyFormatQueryPlan(plan)
}

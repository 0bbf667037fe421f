/** From a client's operation to a query plan, by Apollo's planner. */
import { operationFromDocument } from '@apollo/federation-internals'
import { prettyFormatQueryPlan, type QueryPlan } from '@apollo/query-planner'
import type { DocumentNode } from 'graphql'
import type { PlannableSupergraph } from './supergraph.ts'
import { checkReachable } from './unreachable-fields.ts'

/** @throws GraphQLError when the operation asks for more than the planner's limits allow, or for what nobody resolves. */
export function planOperation(
  supergraph: PlannableSupergraph,
  document: DocumentNode,
  operationName: string | undefined,
): QueryPlan {
  const operation = operationFromDocument(
    supergraph.plannedSchema,
    document,
    operationName === undefined ? {} : { operationName },
  )
  const plan = supergraph.plan(operation)
  checkReachable(supergraph.schema, document, plan)
  return plan
}

/** The plan as people read it: what is fetched from where, in which order, and with which keys. */
export function planText(plan: QueryPlan): string {
  return plan.node === undefined ? 'QueryPlan {}' : prettyFormatQueryPlan(plan)
}

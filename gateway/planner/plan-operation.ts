/** From a client's operation to a query plan, by Apollo's planner. */
import { operationFromDocument } from '@apollo/federation-internals'
import { prettyFormatQueryPlan, type QueryPlan } from '@apollo/query-planner'
import type { DocumentNode } from 'graphql'
import { AppError } from '../../core/errors.ts'
import { anchorEmptiedFields } from './contradicting-conditions.ts'
import { planByConditions } from './planned-by-conditions.ts'
import type { PlannableSupergraph } from './supergraph.ts'
import { checkReachable } from './unreachable-fields.ts'

const replansMax = 5

/** @throws AppError QUERY_TOO_COMPLEX, PLANNING_FAILED; GraphQLError when it asks for what nobody resolves. */
export function planOperation(
  supergraph: PlannableSupergraph,
  document: DocumentNode,
  operationName: string | undefined,
): QueryPlan {
  const plannedFor = (asked: DocumentNode): QueryPlan =>
    planByConditions(asked, (variant) =>
      supergraph.plan(
        operationFromDocument(
          supergraph.plannedSchema,
          anchorEmptiedFields(variant),
          operationName === undefined ? {} : { operationName },
        ),
      ),
    )
  const plan = planned(() => withPartialTypes(supergraph, document, operationName, plannedFor))
  checkReachable(supergraph.schema, document, plan)
  return plan
}

/** What the planner throws was not written for clients. */
function planned(make: () => QueryPlan): QueryPlan {
  try {
    return make()
  } catch (cause) {
    if (cause instanceof RangeError || (cause instanceof Error && cause.message.includes('exceeds limit'))) {
      throw new AppError(
        'QUERY_TOO_COMPLEX',
        'The operation has more in it than can be planned: ask for less at once.',
        { cause },
      )
    }
    throw new AppError('PLANNING_FAILED', 'No plan could be made for this operation: ask for it in another form.', {
      cause,
    })
  }
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

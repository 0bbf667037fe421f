/** What runs in the thread of `planning-thread.ts`: the same planning as elsewhere, by messages. */
import { parentPort } from 'node:worker_threads'
import type { QueryPlan } from '@apollo/query-planner'
import { GraphQLError, parse } from 'graphql'
import { isAppError } from '../../core/errors.ts'
import { planOperation } from './plan-operation.ts'
import { buildSupergraph, type PlannableSupergraph } from './supergraph.ts'

export interface PlanningRequest {
  readonly supergraphId: string
  /** Where the thread does not have it yet. */
  readonly sdl?: string
  readonly source: string
  readonly operationName: string | undefined
}

export type PlanningAnswer =
  | { readonly kind: 'began' }
  | { readonly kind: 'planned'; readonly plan: QueryPlan }
  | {
      readonly kind: 'failed'
      readonly isOurs: boolean
      readonly code: string
      readonly message: string
      readonly path: readonly (string | number)[] | undefined
    }

const supergraphs = new Map<string, PlannableSupergraph>()
const tell = (answer: PlanningAnswer): void => parentPort?.postMessage(answer, [])

parentPort?.on('message', ({ supergraphId, sdl, source, operationName }: PlanningRequest) => {
  try {
    const supergraph = supergraphs.get(supergraphId) ?? buildSupergraph(sdl ?? '')
    supergraphs.set(supergraphId, supergraph)
    tell({ kind: 'began' })
    tell({ kind: 'planned', plan: planOperation(supergraph, parse(source, { noLocation: true }), operationName) })
  } catch (error) {
    const isOurs = isAppError(error)
    const coded = error instanceof GraphQLError ? error.extensions['code'] : undefined
    const code = isOurs ? error.code : typeof coded === 'string' ? coded : 'INTERNAL_SERVER_ERROR'
    const path = error instanceof GraphQLError ? error.path : undefined
    tell({ kind: 'failed', isOurs, code, message: error instanceof Error ? error.message : String(error), path })
  }
})

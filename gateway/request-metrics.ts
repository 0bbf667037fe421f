import { GraphQLError } from 'graphql'
import { errorCodes, isAppError } from '../core/errors.ts'
import { type Metrics, secondsBuckets } from '../core/metrics.ts'
import { InvalidDocument } from './documents.ts'

/** What is asked of the gateway, and how it ended. */
export interface RequestMetrics {
  /** @param code of the first error; undefined where there is none */
  answered(operation: string | undefined, code: unknown, startedMs: number): void
  /** For what was thrown instead of an answer. */
  failed(operation: string | undefined, error: unknown, startedMs: number): void
  looked(state: 'hit' | 'miss' | 'bypass'): void
}

export function createRequestMetrics(metrics: Metrics): RequestMetrics {
  const requests = metrics.counter({
    name: 'ledgerway_requests_total',
    help: 'Operations answered, by the code of their first error; OK without one. Subscriptions count when they begin.',
    labels: ['operation', 'code'],
  })
  const seconds = metrics.histogram({
    name: 'ledgerway_request_duration_seconds',
    help: 'From taking an operation to its answer.',
    labels: ['operation'],
    buckets: secondsBuckets,
  })
  const lookups = metrics.counter({
    name: 'ledgerway_cache_lookups_total',
    help: 'Queries by what the answer cache had for them.',
    labels: ['state'],
  })
  function answered(operation: string | undefined, code: unknown, startedMs: number): void {
    const asked = operation ?? 'none'
    requests({ operation: asked, code: outcome(code) })
    seconds({ operation: asked }, (performance.now() - startedMs) / 1000)
  }

  return {
    answered,
    failed: (operation, error, startedMs) => answered(operation, codeOf(error), startedMs),
    looked: (state) => lookups({ state }),
  }
}

function codeOf(error: unknown): unknown {
  if (isAppError(error)) return error.code
  if (error instanceof InvalidDocument) return codeOf(error.errors[0])
  return (error instanceof GraphQLError ? error.extensions['code'] : undefined) ?? 'INTERNAL_SERVER_ERROR'
}

/** A subgraph of somebody else's may answer with any code: those are one. */
function outcome(code: unknown): string {
  if (code === undefined) return 'OK'
  return typeof code === 'string' && Object.hasOwn(errorCodes, code) ? code : 'OTHER'
}

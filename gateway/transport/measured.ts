/**
 * Counts and times what is asked of each subgraph, in this process or elsewhere. Names are those of the supergraph, so
 * that they are few.
 */
import { errorCodes, isAppError } from '../../core/errors.ts'
import { type Metrics, secondsBuckets } from '../../core/metrics.ts'
import type { SubgraphExecutor } from '../../core/subgraph-executor.ts'

export function measured(execute: SubgraphExecutor, metrics: Metrics): SubgraphExecutor {
  const requests = metrics.counter({
    name: 'ledgerway_subgraph_requests_total',
    help: 'Requests to subgraphs, by the code they failed with; OK where the subgraph answered, with whatever it did.',
    labels: ['subgraph', 'kind', 'code'],
  })
  const seconds = metrics.histogram({
    name: 'ledgerway_subgraph_request_duration_seconds',
    help: 'From asking a subgraph to its answer; of a subscription, to its first word.',
    labels: ['subgraph'],
    buckets: secondsBuckets,
  })
  return async (request, signal) => {
    const { subgraph, kind } = request
    const startedMs = performance.now()
    let code = 'OK'
    try {
      return await execute(request, signal)
    } catch (error) {
      code = isAppError(error) && Object.hasOwn(errorCodes, error.code) ? error.code : 'OTHER'
      throw error
    } finally {
      requests({ subgraph, kind, code })
      seconds({ subgraph }, (performance.now() - startedMs) / 1000)
    }
  }
}

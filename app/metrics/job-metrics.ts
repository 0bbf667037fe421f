import type { Metrics, Sample } from '../../core/metrics.ts'
import type { Jobs } from '../../jobs/jobs.ts'

/** The queues as their server counts them: facts of the deployment, told by its workers. */
export function addJobMetrics(metrics: Metrics, jobs: Pick<Jobs, 'counts'>): void {
  metrics.observed(
    {
      type: 'gauge',
      name: 'ledgerway_jobs',
      help: 'Jobs in each queue by state; `failed` are dead letters, kept until they are redriven or discarded.',
      labels: ['queue', 'state'],
    },
    async () =>
      (await jobs.counts()).flatMap(({ class: queue, ...states }) =>
        Object.entries(states).map(([state, count]): Sample<'queue' | 'state'> => [{ queue, state }, count]),
      ),
  )
}

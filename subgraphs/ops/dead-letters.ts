import { authorize, can } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { pageSize } from '../../core/page-size.ts'
import type { Principal } from '../../core/request.ts'
import type { Job } from '../../jobs/job.ts'
import type { Jobs } from '../../jobs/jobs.ts'
import type { QueueClass as JobClass } from '../../jobs/queues.ts'
import type { Objects, Resolvers } from '../../schema/generated/ops.ts'
import type { SubgraphContext } from '../context.ts'

interface JobObjects extends Objects {
  Job: Job
}

const redrivenAtOnce = 1_000

/** Jobs that failed for good: a company's are its own to try again or to let go, administrators see to all. */
export function createDeadLetterMutations(
  jobs: Pick<Jobs, 'get' | 'redrive' | 'redriveAll' | 'discard'>,
): Pick<Resolvers<SubgraphContext, JobObjects>['Mutation'], 'redriveJob' | 'discardJob' | 'redriveJobs'> {
  /** Whether there is a job of this id is for its company and administrators to know. */
  async function authorizeFor(principal: Principal, id: string): Promise<void> {
    authorize(principal, 'job.submit')
    const job = await jobs.get(id)
    const isTheirs =
      job !== null &&
      (job.companyId === null ? principal.kind === 'admin' : can(principal, 'job.submit', job.companyId))
    if (!isTheirs) throw new AppError('NOT_FOUND', 'There is no such job.')
  }

  return {
    redriveJob: async (_, { id }, { principal }) => {
      await authorizeFor(principal, id)
      return jobs.redrive(id)
    },
    discardJob: async (_, { id }, { principal }) => {
      await authorizeFor(principal, id)
      await jobs.discard(id)
      return true
    },
    redriveJobs: (_, { queue, limit }, { principal }) => {
      authorize(principal, 'ops.write')
      const most = pageSize(limit, { name: 'limit', fallback: 100, most: redrivenAtOnce })
      return most === 0 ? 0 : jobs.redriveAll(queue.toLowerCase() as JobClass, most)
    },
  }
}

import type { Job as BullJob } from 'bullmq'
import { errorCodes } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { JobData } from './backend.ts'
import { type QueueClass, queueClasses } from './queues.ts'

export type JobState = 'waiting' | 'delayed' | 'active' | 'completed' | 'failed'

export interface Job {
  /** `<queue>.<key>`: an id names its queue. */
  readonly id: string
  readonly name: string
  readonly queue: QueueClass
  readonly state: JobState
  readonly companyId: CompanyId | null
  readonly arguments: Readonly<Record<string, unknown>>
  readonly submittedBy: string
  /** 0 to 1. */
  readonly progress: number
  readonly result: unknown
  /** Code of what it last failed with. */
  readonly error: string | null
  readonly attempts: number
  readonly createdAt: string
  readonly finishedAt: string | null
}

/** BullMQ's sets behind each of our states. */
export const bullStates = {
  waiting: ['waiting', 'prioritized'],
  delayed: ['delayed'],
  active: ['active'],
  completed: ['completed'],
  failed: ['failed'],
} as const

export const jobStates = Object.keys(bullStates) as readonly JobState[]

export function jobId(queue: QueueClass, key: string): string {
  return `${queue}.${key}`
}

/** The queue that an id names; undefined where it is not a job's id. */
export function queueOf(id: string): QueueClass | undefined {
  if (id.length > 300) return undefined
  return queueClasses.find((queue) => id.startsWith(`${queue}.`))
}

export function jobOf(job: BullJob<JobData>, queue: QueueClass, state: JobState): Job {
  const finished = state === 'completed' || state === 'failed'
  return {
    id: job.id ?? '',
    name: job.name,
    queue,
    state,
    companyId: job.data.companyId as CompanyId | null,
    arguments: job.data.arguments,
    submittedBy: job.data.submittedBy,
    progress: state === 'completed' ? 1 : typeof job.progress === 'number' ? job.progress : 0,
    result: state === 'completed' ? (job.returnvalue ?? null) : null,
    error: job.failedReason === undefined || job.failedReason === '' ? null : codeOf(job.failedReason),
    attempts: job.attemptsMade,
    createdAt: new Date(job.timestamp).toISOString(),
    finishedAt: finished && job.finishedOn !== undefined ? new Date(job.finishedOn).toISOString() : null,
  }
}

/** Processors fail with `CODE: …`; what else ends a job (a stall, a crash) is BullMQ's own text and not for clients. */
function codeOf(failedReason: string): string {
  const [code = ''] = failedReason.split(':', 1)
  return Object.hasOwn(errorCodes, code) ? code : 'INTERNAL_SERVER_ERROR'
}

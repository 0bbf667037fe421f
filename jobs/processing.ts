import { DelayedError, UnrecoverableError, type Job as BullJob } from 'bullmq'
import { AppError, isAppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import { settled } from '../core/settled.ts'
import { type BullWorker, type JobData, type JobsBackend, type JobsConnection, openJobsBackend } from './backend.ts'
import { isJobName, jobDefinitions, type JobName } from './definitions.ts'
import { type Job, jobOf, type JobState } from './job.ts'
import { defaultSlots, type QueueClass, queueClasses } from './queues.ts'

export interface JobRun {
  readonly job: Job
  readonly companyId: CompanyId
  /** From 1. */
  readonly attempt: number
  /** Whether a failure now is the last one. */
  readonly lastAttempt: boolean
  /** 0 to 1; told live, never stored for good. What is less than was told already, as of work begun anew, is passed over. */
  progress(fraction: number): Promise<void>
  /** Ends when the server stops or another worker has the job: then give up at once. */
  readonly signal: AbortSignal
  /** Frees the slot and comes back to the job so much later, without a try being counted. Throws what ends this run. */
  postpone(ms: number): never
}

/** Of a job that concerns the deployment: there is no company. */
export type DeploymentJobRun = Omit<JobRun, 'companyId'>

/**
 * Does a job once. MUST be idempotent: a crash has it done again. An AppError that is not `retryable` fails it for good,
 * any other error after its definition's tries; a shard or catalog that is down, and the end of this process, count as no
 * try. The result is kept and shown: references and counts, no payload.
 */
export type Processor = (run: JobRun) => Promise<unknown>

class Postponed extends Error {
  readonly ms: number
  constructor(ms: number) {
    super('the job is taken up again later')
    this.ms = ms
  }
}

const progressEveryMs = 200
const outageFirstMs = 2_000
const outageLongestMs = 60_000
const readyWaitMs = 2_000

/** A database that is down is no fault of the job, and takes no try: however long it lasts, the job is not given up. */
const isOutage = (error: unknown): boolean =>
  isAppError(error, 'SHARD_UNAVAILABLE') || isAppError(error, 'CATALOG_UNAVAILABLE')

/** A quarter of the job's age, so that an outage of hours is a look a minute. */
function outagePause(ageMs: number): number {
  const ms = Math.min(Math.max(ageMs / 4, outageFirstMs), outageLongestMs)
  return Math.round(ms * (1 + Math.random() / 5))
}

/** Works through the four queues of one process. */
export function createProcessing(deps: {
  connection: JobsConnection
  /** A job of another name fails here. */
  processors: Readonly<Partial<Record<JobName, Processor>>>
  logger: Logger
  slots?: Partial<Record<QueueClass, number>>
  /** Told of every change of a job's state and progress that happens here. MUST NOT throw. */
  onChange?: (job: Job) => void
  /** Replaces the definitions' pauses between tries. */
  retryAfterMs?: (name: JobName, attempt: number) => number
  /** Replaces the pause of a job of this age whose database is down. */
  outagePauseMs?: (ageMs: number) => number
  /** How long jobs at work may take to end when the service is disposed of, before their signal ends. */
  drainMs?: number
}): Service {
  const { connection, processors, logger, onChange, outagePauseMs = outagePause, drainMs = 5_000 } = deps
  const slots = { ...defaultSlots, ...deps.slots }
  const retryAfterMs = deps.retryAfterMs ?? ((name, attempt) => jobDefinitions[name].retryAfterMs(attempt))
  const stop = new AbortController()
  let backend: JobsBackend | undefined
  let workers: BullWorker[] = []

  function changed(job: BullJob<JobData>, queue: QueueClass, state: JobState): void {
    onChange?.(jobOf(job, queue, state))
  }

  async function run(
    opened: JobsBackend,
    queue: QueueClass,
    job: BullJob<JobData>,
    token: string | undefined,
    signal?: AbortSignal,
  ): Promise<unknown> {
    await opened.fairOrder.started(queue, job.opts.priority ?? 0)
    const { companyId } = job.data
    const process = isJobName(job.name) ? processors[job.name] : undefined
    if (!isJobName(job.name) || process === undefined) throw new UnrecoverableError('BAD_USER_INPUT: unknown job')
    const deaths = job.stalledCounter - (job.data.forgivenDeaths ?? 0)
    if (deaths > jobDefinitions[job.name].deaths) {
      throw new UnrecoverableError('INTERNAL_SERVER_ERROR: its process ended too often while it was at it')
    }
    const attempt = job.attemptsMade + 1
    let toldAt = 0
    let furthest = typeof job.progress === 'number' ? job.progress : 0
    changed(job, queue, 'active')
    try {
      return await process({
        job: jobOf(job, queue, 'active'),
        // Null for the deployment's jobs, whose processors do not ask.
        companyId: companyId as CompanyId,
        attempt,
        lastAttempt: attempt >= (job.opts.attempts ?? 1),
        signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
        async progress(fraction) {
          const now = Date.now()
          if (fraction < furthest || (now - toldAt < progressEveryMs && fraction < 1)) return
          toldAt = now
          // Told live and not kept: a queue that cannot be reached for a moment must not cost a try.
          furthest = Math.min(fraction, 1)
          await job.updateProgress(furthest).catch(() => undefined)
          changed(job, queue, 'active')
        },
        postpone(ms) {
          throw new Postponed(ms)
        },
      })
    } catch (error) {
      const ageMs = Date.now() - job.timestamp
      const postponedMs = error instanceof Postponed ? error.ms : isOutage(error) ? outagePauseMs(ageMs) : null
      if (postponedMs !== null || stop.signal.aborted) {
        await job.moveToDelayed(Date.now() + (postponedMs ?? 0), token)
        changed(job, queue, 'delayed')
        throw new DelayedError()
      }
      const code = error instanceof AppError ? error.code : 'INTERNAL_SERVER_ERROR'
      const text = `${code}: ${error instanceof AppError ? error.message : 'the job failed'}`
      logger.warn({ job: job.id, name: job.name, attempt, error }, 'a job failed')
      throw error instanceof AppError && !error.retryable
        ? new UnrecoverableError(text)
        : new Error(text, { cause: error })
    }
  }

  return {
    async start() {
      const opened = await openJobsBackend(connection)
      backend = opened
      workers = queueClasses.map((queue) => {
        const worker = opened.worker(queue, (job, token, signal) => run(opened, queue, job, token, signal), {
          concurrency: slots[queue],
          lockDuration: 30_000,
          stalledInterval: 5_000,
          // Each job's own limit is looked at when it begins again: BullMQ has one for all, and no way back from it.
          maxStalledCount: 2 ** 31 - 1,
          settings: {
            backoffStrategy(attempt, _type, _error, job) {
              const base = job !== undefined && isJobName(job.name) ? retryAfterMs(job.name, attempt) : 1_000
              return Math.round(base * (1 + Math.random() / 5))
            },
          },
        })
        worker.on('error', (error) => logger.debug({ queue, error }, 'a job worker lost its connection'))
        worker.on('completed', (job) => changed(job, queue, 'completed'))
        worker.on('failed', (job) => {
          if (job !== undefined) changed(job, queue, job.finishedOn === undefined ? 'delayed' : 'failed')
        })
        return worker
      })
      // A server that is gone for the moment must not keep this process from starting.
      await settled(Promise.all(workers.map((worker) => worker.waitUntilReady())), readyWaitMs)
    },
    async [Symbol.asyncDispose]() {
      // Jobs at work are told to end and go back to the queue by their failure, or by their lock's end after a crash.
      const closing = Promise.all(workers.map((worker) => worker.close().catch(() => undefined)))
      const patience = setTimeout(() => stop.abort(), drainMs)
      await closing
      clearTimeout(patience)
      await backend?.[Symbol.asyncDispose]()
    },
  }
}

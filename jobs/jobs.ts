import { randomUUID } from 'node:crypto'
import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import { settled } from '../core/settled.ts'
import { type BullQueue, type JobData, type JobsBackend, type JobsConnection, openJobsBackend } from './backend.ts'
import { isJobName, unknownJob, type JobDefinition, jobDefinitions, parseArguments } from './definitions.ts'
import { bullStates, type Job, jobId, jobOf, jobStates, type JobState, queueOf } from './job.ts'
import { defaultLimits, type QueueClass, queueClasses, type QueueLimits } from './queues.ts'

export interface NewJob {
  readonly name: string
  /** Left out: as the job's definition says. */
  readonly queue?: QueueClass
  /** Null: a job of the deployment. */
  readonly companyId: CompanyId | null
  readonly arguments?: unknown
  /** A key's id, or the part of the server that asks. */
  readonly submittedBy: string
  /** Of the caller's making: submitting it again gives the first one. `[A-Za-z0-9._-]`, at most 200 characters. */
  readonly jobId?: string
}

export interface QueueCounts {
  readonly class: QueueClass
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  readonly completed: number
  readonly failed: number
}

export interface JobList {
  readonly first: number
  readonly queue?: QueueClass
  readonly state?: JobState
  /** Looks through the newest thousand of each state. */
  readonly companyId?: CompanyId
}

export interface Jobs extends AsyncDisposable {
  /** @throws AppError BAD_USER_INPUT (unknown job, wrong arguments), OVERLOADED (the queue is full, or cannot be reached) */
  submit(job: NewJob): Promise<Job>
  /** All of them or none, in one call. @throws as `submit` */
  submitMany(jobs: readonly NewJob[]): Promise<void>
  get(id: string): Promise<Job | null>
  /** Newest first. */
  list(options: JobList): Promise<Job[]>
  counts(): Promise<QueueCounts[]>
  /** Gives a dead letter (a job that failed for good) all its tries again. @throws AppError NOT_FOUND, INVALID_TRANSITION */
  redrive(id: string): Promise<Job>
  /** The same for all dead letters of a queue, oldest first; answers how many. */
  redriveAll(queue: QueueClass, limit: number): Promise<number>
  /** Deletes a dead letter. @throws as `redrive` */
  discard(id: string): Promise<void>
}

type DeadLetter = NonNullable<Awaited<ReturnType<BullQueue['getJob']>>>

const keyPattern = /^[A-Za-z0-9._-]{1,200}$/
/** Whose share the deployment's own jobs come from: no company's id begins so. */
const deploymentTenant = '.deployment'
const scanned = 1_000
const closeWaitMs = 1_000

export function createJobs(
  connection: JobsConnection,
  options: { limits?: Partial<QueueLimits>; onSubmitted?: (job: Job) => void; callWaitMs?: number } = {},
): Jobs {
  const limits = { ...defaultLimits, ...options.limits }
  const { callWaitMs = 5_000 } = options
  const queues = new Map<QueueClass, BullQueue>()
  const reachable = <T>(fn: () => Promise<T>): Promise<T> => answeredWithin(callWaitMs, fn)
  let opening: Promise<JobsBackend> | undefined

  async function open(): Promise<JobsBackend> {
    opening ??= openJobsBackend(connection)
    // A database that was not there yet may be there at the next call.
    opening.catch(() => (opening = undefined))
    return opening
  }

  async function queue(name: QueueClass): Promise<BullQueue> {
    const backend = await open()
    const known = queues.get(name)
    if (known !== undefined) return known
    const opened = backend.queue(name)
    // Without a handler an `error` event ends the process; the failing calls tell of it.
    opened.on('error', () => undefined)
    queues.set(name, opened)
    return opened
  }

  async function submitTo(name: QueueClass, jobs: readonly NewJob[]): Promise<Job[]> {
    const entries = jobs.map((job) => ({ ...prepare(job), companyId: job.companyId }))
    return reachable(async () => {
      const target = await queue(name)
      const {
        waiting = 0,
        prioritized = 0,
        delayed = 0,
      } = await target.getJobCounts('waiting', 'prioritized', 'delayed')
      const full = waiting + prioritized + delayed + jobs.length > limits.waiting
      if (full) throw new AppError('OVERLOADED', `The queue "${name}" is full; try again later.`)
      const { fairOrder } = await open()
      const tags = await fairOrder.tags(
        name,
        entries.map((entry) => entry.companyId ?? deploymentTenant),
        waiting + prioritized === 0,
      )
      const added = await target.addBulk(
        entries.map(({ key, definition, data, jobName }, index) => ({
          name: jobName,
          data,
          opts: {
            jobId: jobId(name, key),
            priority: tags[index] ?? 1,
            attempts: definition.attempts,
            backoff: { type: 'definition' },
            stackTraceLimit: 0,
            removeOnComplete: { count: limits.completedKept, age: limits.completedKeptSeconds },
            removeOnFail: { count: limits.failedKept, age: limits.failedKeptSeconds },
          },
        })),
      )
      return added.map((job) => jobOf(job, name, 'waiting'))
    })
  }

  async function deadLetter(id: string): Promise<DeadLetter> {
    const name = queueOf(id)
    const job = name === undefined ? undefined : await (await queue(name)).getJob(id)
    if (job === undefined) throw new AppError('NOT_FOUND', 'There is no such job.')
    if ((await job.getState()) !== 'failed') {
      throw new AppError('INVALID_TRANSITION', 'Only a job that failed for good can be redriven or discarded.')
    }
    return job
  }

  async function retry(job: DeadLetter): Promise<void> {
    if (job.stalledCounter > 0) await job.updateData({ ...job.data, forgivenDeaths: job.stalledCounter })
    await job.retry('failed', { resetAttemptsMade: true, resetAttemptsStarted: true })
  }

  async function get(id: string): Promise<Job | null> {
    return reachable(async () => {
      const name = queueOf(id)
      if (name === undefined) return null
      const bull = await queue(name)
      // State first: a job that moves on in between is then shown as a moment ago, never as finished without its outcome.
      const state = await bull.getJobState(id)
      const known = jobStates.find((wanted) => (bullStates[wanted] as readonly string[]).includes(state))
      const job = await bull.getJob(id)
      return known === undefined || job === undefined ? null : jobOf(job, name, known)
    })
  }

  return {
    get,
    async submit(job) {
      const [added] = await submitTo(prepare(job).queue, [job])
      if (added === undefined) throw new AppError('INTERNAL_SERVER_ERROR', 'The job was not taken.')
      // The first one's state, if it was there already.
      const current = job.jobId === undefined ? added : ((await get(added.id)) ?? added)
      options.onSubmitted?.(current)
      return current
    },
    async submitMany(jobs) {
      const groups = Map.groupBy(jobs, (job) => prepare(job).queue)
      for (const [name, group] of groups) await submitTo(name, group)
    },
    async list({ first, queue: only, state, companyId }) {
      const names = only === undefined ? queueClasses : [only]
      const states = state === undefined ? jobStates : [state]
      const scan = companyId === undefined ? first : scanned
      return reachable(async () => {
        const lists = await Promise.all(
          names.flatMap((name) =>
            states.map(async (wanted) => {
              const found = await (await queue(name)).getJobs([...bullStates[wanted]], 0, scan - 1, false)
              // A job may be deleted between the reading of its id and of itself.
              return found.filter((job) => job != null).map((job) => jobOf(job, name, wanted))
            }),
          ),
        )
        // A job that moves on while the sets are read is in two of them.
        const byId = new Map(lists.flat().map((job) => [job.id, job]))
        return [...byId.values()]
          .filter((job) => companyId === undefined || job.companyId === companyId)
          .sort((a, b) => (a.createdAt === b.createdAt ? (a.id < b.id ? 1 : -1) : a.createdAt < b.createdAt ? 1 : -1))
          .slice(0, first)
      })
    },
    async counts() {
      return reachable(() =>
        Promise.all(
          queueClasses.map(async (name) => {
            const counts = await (await queue(name)).getJobCounts()
            const sum = (state: JobState): number =>
              bullStates[state].reduce((total, set) => total + (counts[set] ?? 0), 0)
            return {
              class: name,
              waiting: sum('waiting'),
              active: sum('active'),
              delayed: sum('delayed'),
              completed: sum('completed'),
              failed: sum('failed'),
            }
          }),
        ),
      )
    },
    async redrive(id) {
      return reachable(async () => {
        const job = await deadLetter(id)
        await retry(job)
        return (await get(id)) ?? jobOf(job, queueOf(id) ?? 'normal', 'waiting')
      })
    },
    async redriveAll(name, limit) {
      return reachable(async () => {
        const failed = await (await queue(name)).getJobs(['failed'], 0, limit - 1, true)
        for (const job of failed) await retry(job)
        return failed.length
      })
    },
    async discard(id) {
      await reachable(async () => (await deadLetter(id)).remove())
    },
    async [Symbol.asyncDispose]() {
      // Waits for work under way, but not for a server that is gone.
      await settled(Promise.all([...queues.values()].map((opened) => opened.close())), closeWaitMs)
      await (await opening?.catch(() => undefined))?.[Symbol.asyncDispose]()
    },
  }
}

interface Prepared {
  readonly jobName: string
  readonly queue: QueueClass
  readonly key: string
  readonly definition: JobDefinition
  readonly data: JobData
}

/** @throws AppError BAD_USER_INPUT */
function prepare(job: NewJob): Prepared {
  if (!isJobName(job.name)) throw unknownJob(job.name)
  const definition: JobDefinition = jobDefinitions[job.name]
  if ((job.companyId === null) !== (definition.ofCompany === false))
    throw new AppError('BAD_USER_INPUT', `The job "${job.name}" does not fit a company.`)
  const key = job.jobId ?? randomUUID()
  if (!keyPattern.test(key))
    throw new AppError('BAD_USER_INPUT', 'A job id is 1 to 200 characters of A-Z, a-z, 0-9, ".", "_" and "-".')
  return {
    jobName: job.name,
    queue: job.queue ?? definition.queue,
    key,
    definition,
    data: {
      companyId: job.companyId,
      arguments: parseArguments(job.name, job.arguments),
      submittedBy: job.submittedBy,
    },
  }
}

/** What the queue's server fails with is not for clients; BullMQ itself would wait for a lost one without end. */
async function answeredWithin<T>(callWaitMs: number, fn: () => Promise<T>): Promise<T> {
  try {
    const work = fn()
    if (!(await settled(work, callWaitMs))) {
      work.catch(() => undefined)
      throw new Error('the queue did not answer in time')
    }
    return await work
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('OVERLOADED', 'The job queue cannot be reached now; try again later.', { cause: error })
  }
}

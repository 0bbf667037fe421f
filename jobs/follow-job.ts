import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import { createWaker } from '../core/waker.ts'
import type { Job } from './job.ts'
import type { Jobs } from './jobs.ts'

/** The part of `events/bus.ts` that jobs need. */
export interface JobBus {
  publish(channel: string, message: string): Promise<void>
  subscribe(channel: string, handler: (message: string) => void): Promise<AsyncDisposable>
}

/** Says that a job's state or progress changed; the message is its id. */
const jobsChannel = 'jobs'

/** Tells other processes. For `onChange` of the processing and `onSubmitted` of the jobs. */
export function announceJob(bus: JobBus): (job: Job) => void {
  return (job) => void bus.publish(jobsChannel, job.id)
}

export interface JobFollower {
  /**
   * The job as it is now and then at each change that can be seen, until it is done: states are never missed at the end,
   * progress in between may be. A reader that comes back begins with the present state, so nothing need be resumed.
   * @throws AppError NOT_FOUND, also where the job is not `companyId`'s
   */
  follow(id: string, options: { companyId?: CompanyId; signal: AbortSignal }): Promise<AsyncIterable<Job>>
}

/** One subscription to the bus for all followers of this process; a poll for each as the safety net. */
export function createJobFollower(deps: { jobs: Jobs; bus: JobBus; pollMs?: number }): JobFollower & AsyncDisposable {
  const { jobs, bus, pollMs = 2_000 } = deps
  const waiting = new Map<string, Set<() => void>>()
  let subscription: Promise<AsyncDisposable> | undefined

  function subscribe(): Promise<AsyncDisposable> {
    subscription ??= bus.subscribe(jobsChannel, (id) => {
      for (const wake of waiting.get(id) ?? []) wake()
    })
    return subscription
  }

  async function* run(id: string, first: Job, signal: AbortSignal): AsyncGenerator<Job, void> {
    const waker = createWaker()
    const wakers = waiting.get(id) ?? new Set()
    wakers.add(waker.wake)
    waiting.set(id, wakers)
    try {
      let shown = ''
      // Again, now that changes wake us: it may have changed since it was looked up.
      let job: Job | null = (await jobs.get(id).catch(() => first)) ?? first
      while (job !== null && !signal.aborted) {
        const text = JSON.stringify(job)
        if (text !== shown) yield job
        shown = text
        if (job.state === 'completed' || job.state === 'failed') return
        await waker.wait(pollMs, signal)
        const last: Job = job
        // While the queue cannot be reached the stream waits.
        job = await jobs.get(id).catch(() => last)
      }
    } finally {
      wakers.delete(waker.wake)
      if (wakers.size === 0) waiting.delete(id)
    }
  }

  return {
    async follow(id, { companyId, signal }) {
      await subscribe()
      const job = await jobs.get(id)
      if (job === null || (companyId !== undefined && job.companyId !== companyId)) {
        throw new AppError('NOT_FOUND', 'There is no such job.')
      }
      return run(id, job, signal)
    },
    async [Symbol.asyncDispose]() {
      await (await subscription)?.[Symbol.asyncDispose]()
    },
  }
}

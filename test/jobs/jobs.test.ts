import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError, isAppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import type { JobsConnection } from '../../jobs/backend.ts'
import type { Job } from '../../jobs/job.ts'
import { createJobFollower } from '../../jobs/follow-job.ts'
import { createJobs, type Jobs } from '../../jobs/jobs.ts'
import { createProcessing, type Processor } from '../../jobs/processing.ts'
import type { QueueLimits } from '../../jobs/queues.ts'
import { eventually } from '../support/feed.ts'
import { acquireDatabase } from '../support/postgres.ts'
import { redisUrl } from '../support/redis.ts'

const redis = redisUrl()

interface Backend extends AsyncDisposable {
  readonly connection: JobsConnection
  /** As if its process had been killed so often while it was at the job: each time takes the job's lock to run out. */
  killedAt(id: string, times: number): Promise<void>
}

const backends: Record<string, () => Promise<Backend>> = {
  'without Redis': async () => {
    const database = await acquireDatabase()
    return {
      connection: { postgresUrl: database.url },
      async killedAt(id, times) {
        const sql = postgres(database.url, { max: 1, fetch_types: false, onnotice() {} })
        await sql`update bullmq.job set stalled_count = ${times} where id = ${id}`
        await sql.end()
      },
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    }
  },
  ...(redis === null
    ? {}
    : {
        'on Redis': async () => {
          const prefix = `t-${randomUUID().slice(0, 8)}`
          return {
            connection: { redisUrl: redis, prefix },
            async killedAt(id: string, times: number) {
              const client = new Redis(redis)
              await client.hset(`${prefix}:${id.split('.')[0]}:${id}`, 'stc', times)
              client.disconnect()
            },
            async [Symbol.asyncDispose]() {},
          }
        },
      }),
}

const acme = parseCompanyId('acme')
const verify = (companyId: CompanyId = acme, jobId?: string) => ({
  name: 'verifyLedger',
  companyId,
  submittedBy: 'key-1',
  ...(jobId === undefined ? {} : { jobId }),
})

describe.each(Object.entries(backends))('jobs %s', (_name, open) => {
  let backend: Awaited<ReturnType<typeof open>>
  let jobs: Jobs
  beforeAll(async () => {
    backend = await open()
    jobs = createJobs(backend.connection)
  })
  afterAll(async () => {
    await jobs[Symbol.asyncDispose]()
    await backend[Symbol.asyncDispose]()
  })

  /** Works through the queues until disposed of. */
  async function working(
    verifyLedger: Processor,
    onChange?: (job: Job) => void,
    outagePauseMs?: (ageMs: number) => number,
  ) {
    const service = createProcessing({
      connection: backend.connection,
      processors: { verifyLedger, exportLedger: async () => null, deliverWebhook: async () => null },
      logger: silentLogger,
      slots: { critical: 1, high: 1, normal: 1, low: 1 },
      retryAfterMs: () => 1,
      drainMs: 50,
      ...(onChange === undefined ? {} : { onChange }),
      ...(outagePauseMs === undefined ? {} : { outagePauseMs }),
    })
    await service.start()
    return service
  }

  async function done(id: string): Promise<Job> {
    let job: Job | null = null
    await eventually(async () => {
      job = await jobs.get(id)
      expect(['completed', 'failed']).toContain(job?.state)
    })
    return job as unknown as Job
  }

  test('are shown with who asked for them, what for, how far they are and what came out', async () => {
    const submitted = await jobs.submit(verify())
    expect(submitted).toMatchObject({
      name: 'verifyLedger',
      queue: 'normal',
      state: 'waiting',
      companyId: 'acme',
      submittedBy: 'key-1',
      progress: 0,
      result: null,
      error: null,
      attempts: 0,
      finishedAt: null,
    })
    expect(await jobs.get(submitted.id)).toEqual(submitted)
    const told: string[] = []
    const half = Promise.withResolvers<void>()
    await using _workers = await working(
      async (run) => {
        await run.progress(0.5)
        await half.promise
        // As by work that is begun anew: how far it was told to be is not taken back.
        await new Promise((resolve) => setTimeout(resolve, 250))
        await run.progress(0.1)
        return { ok: true, size: 3 }
      },
      (job) => told.push(`${job.state} ${job.progress}`),
    )
    await eventually(async () => expect(await jobs.get(submitted.id)).toMatchObject({ state: 'active', progress: 0.5 }))
    half.resolve()
    expect(await done(submitted.id)).toMatchObject({
      state: 'completed',
      progress: 1,
      result: { ok: true, size: 3 },
      attempts: 1,
      finishedAt: expect.stringMatching(/Z$/),
    })
    await eventually(() => expect(told).toEqual(['active 0', 'active 0.5', 'completed 1']))
  })

  test('done while their follower was away are told as done when it comes back', async () => {
    const submitted = await jobs.submit(verify())
    await using bus = createMemoryBus()
    await using follower = createJobFollower({ jobs, bus, pollMs: 20 })
    const half = Promise.withResolvers<void>()
    await using _workers = await working(async (run) => {
      await run.progress(0.5)
      await half.promise
      return { ok: true }
    })
    const away = new AbortController()
    for await (const job of await follower.follow(submitted.id, { signal: away.signal })) {
      if (job.progress === 0.5) break
    }
    away.abort()
    half.resolve()
    await done(submitted.id)
    const told: unknown[] = []
    for await (const job of await follower.follow(submitted.id, { signal: new AbortController().signal })) {
      told.push([job.state, job.result])
    }
    expect(told).toEqual([['completed', { ok: true }]])
  })

  test('whose shard is down longer than all their tries last are not given up, and have all their tries afterwards', async () => {
    const submitted = await jobs.submit(verify())
    let runs = 0
    const ages: number[] = []
    await using _workers = await working(
      async ({ attempt, lastAttempt }) => {
        runs += 1
        // Three tries are all that this job has.
        if (runs <= 8) throw new AppError(runs % 2 ? 'SHARD_UNAVAILABLE' : 'CATALOG_UNAVAILABLE', 'down')
        if (runs === 9) throw new AppError('OVERLOADED', 'a try of its own')
        return { attempt, lastAttempt }
      },
      undefined,
      (ageMs) => {
        ages.push(ageMs)
        return 1
      },
    )
    const job = await done(submitted.id)
    expect(job).toMatchObject({ state: 'completed', result: { attempt: 2, lastAttempt: false } })
    expect(ages).toHaveLength(8)
  })

  test('submitted twice under one id are one job, also after it is done', async () => {
    const id = `once-${randomUUID()}`
    let runs = 0
    const first = await jobs.submit(verify(acme, id))
    await jobs.submitMany([verify(acme, id), verify(acme, id)])
    await using _workers = await working(async () => (runs += 1))
    await done(first.id)
    expect(await jobs.submit(verify(acme, id))).toMatchObject({ id: first.id, state: 'completed', result: 1 })
    const after = await jobs.submit(verify())
    await done(after.id)
    expect(runs).toBe(2)
  })

  test('of a company that asks for much leave room for those of others', async () => {
    const [big, small] = [parseCompanyId('big'), parseCompanyId('small')]
    await jobs.submitMany(Array.from({ length: 60 }, () => verify(big)))
    await jobs.submitMany(Array.from({ length: 3 }, () => verify(small)))
    const order: string[] = []
    await using _workers = await working(async (run) => order.push(run.companyId))
    await eventually(() => expect(order.length).toBe(63))
    expect(order.flatMap((company, place) => (company === small ? [place + 1] : [])).every((place) => place <= 7)).toBe(
      true,
    )
  })

  test('of one class do not wait for those of another', async () => {
    const held = Promise.withResolvers<void>()
    const order: string[] = []
    const slow = await jobs.submit({ ...verify(), queue: 'normal' })
    await using _workers = await working(async (run) => {
      if (run.job.queue === 'normal') await held.promise
      order.push(run.job.queue)
    })
    await eventually(async () => expect((await jobs.get(slow.id))?.state).toBe('active'))
    const others = await Promise.all(
      (['low', 'critical', 'high'] as const).map((queue) => jobs.submit({ ...verify(), queue })),
    )
    for (const job of others) await done(job.id)
    expect(order.toSorted()).toEqual(['critical', 'high', 'low'])
    held.resolve()
    await done(slow.id)
  })

  test('that fail are tried again, then kept as dead letters that can be looked at, redriven and discarded', async () => {
    let broken = true
    let tries = 0
    await using _workers = await working(async () => {
      tries += 1
      if (broken) throw new Error('secret detail of the server')
      return 'well'
    })
    const job = await jobs.submit({ ...verify(), queue: 'low' })
    expect(await done(job.id)).toMatchObject({ state: 'failed', attempts: 3, error: 'INTERNAL_SERVER_ERROR' })
    expect(tries).toBe(3)
    expect(JSON.stringify(await jobs.list({ first: 10, state: 'failed' }))).not.toContain('secret')
    expect((await jobs.list({ first: 10, queue: 'low', state: 'failed' })).map((dead) => dead.id)).toEqual([job.id])
    broken = false
    await jobs.redrive(job.id)
    expect(await done(job.id)).toMatchObject({ state: 'completed', result: 'well', error: null })
    expect(isAppError(await jobs.redrive(job.id).catch((error: unknown) => error), 'INVALID_TRANSITION')).toBe(true)
    broken = true
    const second = await jobs.submit({ ...verify(), queue: 'low' })
    await done(second.id)
    expect(await jobs.redriveAll('low', 10)).toBe(1)
    await eventually(() => expect(tries).toBe(3 + 1 + 3 + 3))
    await eventually(async () => expect((await jobs.get(second.id))?.state).toBe('failed'))
    await jobs.discard(second.id)
    expect(await jobs.get(second.id)).toBe(null)
    expect(isAppError(await jobs.discard(second.id).catch((error: unknown) => error), 'NOT_FOUND')).toBe(true)
  })

  test('that cannot succeed are not tried again, and say why by a code', async () => {
    let tries = 0
    await using _workers = await working(async () => {
      tries += 1
      throw new AppError('NOT_FOUND', 'There is no such company.')
    })
    const job = await jobs.submit(verify())
    expect(await done(job.id)).toMatchObject({ state: 'failed', attempts: 1, error: 'NOT_FOUND' })
    expect(tries).toBe(1)
  })

  test('are refused with a clear code where they are unknown, ill-formed or too many', async () => {
    const codeOf = async (action: Promise<unknown>): Promise<string> =>
      action.then(
        () => 'none',
        (error: unknown) => (error instanceof AppError ? error.code : String(error)),
      )
    expect(await codeOf(jobs.submit({ ...verify(), name: 'constructor' }))).toBe('BAD_USER_INPUT')
    expect(await codeOf(jobs.submit({ ...verify(), arguments: { payload: 'no' } }))).toBe('BAD_USER_INPUT')
    expect(await codeOf(jobs.submit(verify(acme, 'a:b')))).toBe('BAD_USER_INPUT')
    const limits: Partial<QueueLimits> = { waiting: 2 }
    await using small = createJobs(backend.connection, { limits })
    const kept = [
      await small.submit({ ...verify(), queue: 'critical' }),
      await small.submit({ ...verify(), queue: 'critical' }),
    ]
    expect(await codeOf(small.submit({ ...verify(), queue: 'critical' }))).toBe('OVERLOADED')
    await using _workers = await working(async () => null)
    for (const job of kept) await done(job.id)
    expect(await jobs.get('no-such-queue.x')).toBe(null)
  })

  test('are listed newest first, by queue, state and company, and counted', async () => {
    const company = parseCompanyId(`listed-${randomUUID().slice(0, 8)}`)
    const ids: string[] = []
    for (const queue of ['low', 'high', 'low'] as const) ids.push((await jobs.submit({ ...verify(company), queue })).id)
    expect((await jobs.list({ first: 10, companyId: company })).map((job) => job.id).toSorted()).toEqual(ids.toSorted())
    expect((await jobs.list({ first: 10, companyId: company, queue: 'low', state: 'waiting' })).length).toBe(2)
    expect((await jobs.list({ first: 1, queue: 'high', state: 'waiting' })).map((job) => job.id)).toEqual([ids[1]])
    const counts = await jobs.counts()
    expect(counts.map((entry) => entry.class)).toEqual(['critical', 'high', 'normal', 'low'])
    expect(counts.find((entry) => entry.class === 'low')).toMatchObject({ waiting: 2, active: 0, delayed: 0 })
    await using _workers = await working(async () => null)
    for (const id of ids) await done(id)
  })

  test('that end one process after another become dead letters, which can be redriven', async () => {
    const submitted = await jobs.submit(verify())
    await backend.killedAt(submitted.id, 4)
    let runs = 0
    await using _workers = await working(async () => (runs += 1))
    expect(await done(submitted.id)).toMatchObject({ state: 'failed', error: 'INTERNAL_SERVER_ERROR' })
    expect(runs).toBe(0)
    await jobs.redrive(submitted.id)
    await eventually(async () => expect(await jobs.get(submitted.id)).toMatchObject({ state: 'completed', result: 1 }))
  })

  test('are done again when the worker that had them is killed', async () => {
    const crashed = Promise.withResolvers<void>()
    let runs = 0
    const dying = await working(async (run) => {
      runs += 1
      crashed.resolve()
      // Never ends by itself: its process is told to stop, as by a deployment that loses patience.
      await new Promise((_resolve, reject) => run.signal.addEventListener('abort', () => reject(new Error('stopped'))))
    })
    const job = await jobs.submit(verify())
    await crashed.promise
    const stopped = dying[Symbol.asyncDispose]()
    await stopped
    await using _workers = await working(async () => (runs += 1))
    expect(await done(job.id)).toMatchObject({ state: 'completed', result: 2 })
  })
})

test('jobs whose server is gone are refused as overloaded, and say nothing of the server', async () => {
  const gone = [
    { redisUrl: 'redis://127.0.0.1:1', prefix: 't' },
    { postgresUrl: 'postgres://nobody:hidden@127.0.0.1:1/x' },
  ]
  for (const connection of gone) {
    await using jobs = createJobs(connection, { callWaitMs: 300 })
    const error: unknown = await jobs.submit(verify()).catch((reason: unknown) => reason)
    expect(isAppError(error, 'OVERLOADED')).toBe(true)
    expect((error as Error).message).not.toMatch(/127|hidden|ECONN/)
  }
})

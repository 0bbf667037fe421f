import postgres from 'postgres'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { composeShards } from '../../app/shards.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import type { Job } from '../../jobs/job.ts'
import { createJobs, type Jobs } from '../../jobs/jobs.ts'
import { createProcessing } from '../../jobs/processing.ts'
import { createMover, type MoverDeps } from '../../store/move/mover.ts'
import { createMoveJob, createRebalanceJob } from '../../workers/shard-jobs.ts'
import { createWorld, type World } from '../network/world.ts'
import { acquireDatabase } from '../support/postgres.ts'
import { eventually } from '../support/feed.ts'

let world: World
let jobs: Jobs
let connection: { postgresUrl: string }
const stack = new AsyncDisposableStack()
beforeAll(async () => {
  world = stack.use(await createWorld({ shardCount: 2 }))
  connection = { postgresUrl: stack.use(await acquireDatabase()).url }
  jobs = stack.use(createJobs(connection))
})
afterAll(() => stack.disposeAsync())

/** A worker whose mover tells of its steps. */
async function startWorker(onStep: NonNullable<MoverDeps['onStep']>, onChange: (job: Job) => void = () => undefined) {
  const { admin, rebalancer } = shards()
  const mover = createMover({ store: world.store, logger: silentLogger, cleanupDelayMs: 0, onStep })
  const service = createProcessing({
    connection,
    processors: { moveCompany: createMoveJob({ mover, admin }), rebalanceShards: createRebalanceJob({ rebalancer }) },
    logger: silentLogger,
    slots: { low: 1 },
    drainMs: 10,
    onChange,
  })
  await service.start()
  return service
}

const shards = () =>
  composeShards({ store: world.store, bus: createMemoryBus(), shards: world.shards, logger: silentLogger })

async function planned(name: string): Promise<{ companyId: CompanyId; move: number }> {
  const companyId = parseCompanyId(name)
  await world.companies.create({ id: companyId, name }, {})
  const from = world.store.shardOf(companyId)
  const target = world.store.shards.find((shard) => shard !== from)!
  const { id: move } = await shards().admin.move(companyId, target)
  return { companyId, move }
}

async function submitted({ companyId, move }: { companyId: CompanyId; move: number }): Promise<string> {
  return (await jobs.submit({ name: 'moveCompany', companyId, arguments: { move }, submittedBy: 'test' })).id
}

async function plannedMove(name: string): Promise<{ companyId: CompanyId; move: number; job: string }> {
  const plan = await planned(name)
  return { ...plan, job: await submitted(plan) }
}

test('a job whose move is paused frees its slot, and ends once the move is resumed', async () => {
  const { admin } = shards()
  const paused = await plannedMove('paused')
  const other = await plannedMove('other')
  const told: Job[] = []
  await using _worker = await startWorker(
    async (step, { id }) => {
      if (step === 'copied' && id === paused.move && told.every(({ state }) => state !== 'delayed')) {
        await admin.pause(id)
      }
    },
    (job) => void (job.id === paused.job && told.push(job)),
  )
  await eventually(async () => expect((await jobs.get(other.job))?.state).toBe('completed'))
  await eventually(async () => expect((await jobs.get(paused.job))?.state).toBe('delayed'))
  expect(await admin.findMove(paused.move)).toMatchObject({ state: 'copying', paused: true })
  expect(await admin.resumeAll()).toMatchObject({ moves: [{ id: paused.move, paused: false }], rebalance: null })
  await eventually(async () => expect((await jobs.get(paused.job))?.state).toBe('completed'))
  expect(await jobs.get(paused.job)).toMatchObject({
    progress: 1,
    error: null,
    result: { writesHeldBackMs: expect.any(Number) },
  })
  expect(told.map(({ state }) => state)).toContain('delayed')
})

test('a job waits without losing a try while a shard cannot be reached, and a cancelled move ends it', async () => {
  const { admin } = shards()
  const waiting = await plannedMove('waiting')
  const target = world.store.shards.find((shard) => shard !== world.store.shardOf(waiting.companyId))
  const cable = world.cableTo(target!)
  await cable.cut()
  await using _worker = await startWorker(() => undefined)
  await eventually(async () => expect((await jobs.get(waiting.job))?.state).toBe('delayed'))
  await cable.mend()
  await eventually(async () => expect((await jobs.get(waiting.job))?.state).toBe('completed'))
  expect((await jobs.get(waiting.job))?.attempts).toBeLessThanOrEqual(1)

  const cancelled = await planned('cancelled')
  await admin.cancel(cancelled.move)
  const job = await submitted(cancelled)
  await eventually(async () =>
    expect(await jobs.get(job)).toMatchObject({ state: 'failed', error: 'INVALID_TRANSITION' }),
  )
  expect(await admin.findMove(cancelled.move)).toMatchObject({ state: 'cancelled' })
})

test('a rebalance that is paused plans nothing, and its job ends when it goes on', async () => {
  const { admin, rebalancer } = shards()
  const { id } = await admin.rebalance()
  await admin.pauseAll()
  const job = await jobs.submit({
    name: 'rebalanceShards',
    companyId: null,
    arguments: { rebalance: id },
    submittedBy: 'test',
  })
  await using _worker = await startWorker(() => undefined)
  await eventually(async () => expect((await jobs.get(job.id))?.state).toBe('delayed'))
  expect(await rebalancer.find(id)).toMatchObject({ state: 'running', paused: true })
  await rebalancer.runIdle()
  expect(await rebalancer.find(id)).toMatchObject({ state: 'running', paused: true })
  await admin.resumeAll()
  await eventually(async () => expect((await jobs.get(job.id))?.state).toBe('completed'))
  expect(await rebalancer.find(id)).toMatchObject({ state: 'done' })
})

test('a job goes on with a move that another process took up, and does not show it as waiting', async () => {
  const taken = await planned('taken-up')
  const held = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  // As the company mover does after a kill -9, until the job's own process is known to have ended.
  const other = createMover({
    store: world.store,
    logger: silentLogger,
    async onStep(step) {
      if (step !== 'copied') return
      begun.resolve()
      await held.promise
    },
  })
  const moving = other.run(taken.move)
  await begun.promise
  // Whoever works renews the lease; here it only waits.
  const { catalog } = world.store
  await catalog`update company_moves set leased_until = now() + interval '1 hour' where id = ${taken.move}`
  const job = await submitted(taken)
  const told: Job[] = []
  await using _worker = await startWorker(
    () => undefined,
    (seen) => void (seen.id === job && told.push(seen)),
  )
  // It has looked at the move of the other more than once.
  await eventually(() => expect(told.filter(({ state }) => state === 'active').length).toBeGreaterThan(2))
  expect((await jobs.get(job))?.state).toBe('active')
  held.resolve()
  expect(await moving).toMatchObject({ state: 'flipped' })
  await eventually(async () => expect((await jobs.get(job))?.state).toBe('completed'))
  expect(told.map(({ state }) => state)).not.toContain('delayed')
})

test('a job goes on with a rebalance that another process works at, and takes it up when that one is gone', async () => {
  const { admin, rebalancer } = shards()
  const { id } = await admin.rebalance()
  const { catalog } = world.store
  await catalog`update rebalances set leased_until = now() + interval '1 hour' where id = ${id}`
  const args = { name: 'rebalanceShards', companyId: null, arguments: { rebalance: id }, submittedBy: 'test' }
  const job = (await jobs.submit(args)).id
  const told: Job[] = []
  await using _worker = await startWorker(
    () => undefined,
    (seen) => void (seen.id === job && told.push(seen)),
  )
  await eventually(() => expect(told.filter(({ state }) => state === 'active').length).toBeGreaterThan(2))
  expect(await rebalancer.find(id)).toMatchObject({ state: 'running' })
  await catalog`update rebalances set leased_until = now() where id = ${id}`
  await eventually(async () => expect((await jobs.get(job))?.state).toBe('completed'))
  expect(await rebalancer.find(id)).toMatchObject({ state: 'done' })
  expect(told.map(({ state }) => state)).not.toContain('delayed')
})

test('a job ends with its move, however often its process was killed and whatever the move had failed with', async () => {
  const killed = await plannedMove('killed-often')
  const queue = postgres(connection.postgresUrl, { max: 1, fetch_types: false, onnotice() {} })
  onTestFinished(() => queue.end())
  await queue`update bullmq.job set stalled_count = 50 where id = ${killed.job}`
  const { admin } = shards()
  const mover = createMover({ store: world.store, logger: silentLogger, cleanupDelayMs: 0 })
  let failures = 0
  const failing = {
    ...mover,
    async run(id: number, signal?: AbortSignal) {
      if (failures++ === 0) throw new Error('something that has no code')
      return mover.run(id, signal)
    },
  }
  await using worker = createProcessing({
    connection,
    processors: { moveCompany: createMoveJob({ mover: failing, admin }) },
    logger: silentLogger,
  })
  await worker.start()
  await eventually(async () => expect((await jobs.get(killed.job))?.state).toBe('completed'))
  expect(failures).toBe(2)
  expect((await jobs.get(killed.job))?.attempts).toBe(1)
  expect(await admin.findMove(killed.move)).toMatchObject({ state: 'done' })
})

import { afterAll, beforeAll, expect, test } from 'vitest'
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

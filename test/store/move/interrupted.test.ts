import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { isAppError } from '../../../core/errors.ts'
import { parseCompanyId, type ShardId } from '../../../core/ids.ts'
import { silentLogger } from '../../../core/log.ts'
import { createShardAdmin } from '../../../store/admin.ts'
import type { MoveStep } from '../../../store/move/mover.ts'
import { findMove, type Move } from '../../../store/move/move-row.ts'
import { createRebalancer } from '../../../store/move/rebalance.ts'
import { until } from '../until.ts'
import { createMoving, type Moving, startWriter } from './moving.ts'

let moving: Moving
beforeAll(async () => {
  moving = await createMoving()
})
afterAll(() => moving[Symbol.asyncDispose]())

const expireLease = ({ id }: Move) =>
  moving.store.catalog`update company_moves set leased_until = now() - interval '1 s' where id = ${id}`

const steps: MoveStep[] = ['taken', 'copied', 'verified', 'fenced', 'drained', 'opened', 'flipped', 'cleaned']

test.each(steps)('a mover that stalls at "%s" and wakes after another has taken over can do no harm', async (at) => {
  const { store, chain, moverOf, newCompany } = moving
  const { id, to } = await newCompany()
  const stalled = Promise.withResolvers<void>()
  const wake = Promise.withResolvers<void>()
  onTestFinished(() => wake.resolve())
  let once = true
  const first = moverOf({
    async onStep(step) {
      if (step !== at || !once) return
      once = false
      stalled.resolve()
      await wake.promise
    },
  })
  const move = await first.plan(id, to)
  const firstRun = first.run(move.id).catch((error: unknown) => error)
  await stalled.promise
  const writer = startWriter(id, chain.append)
  await expireLease(move)
  expect((await moverOf().run(move.id)).state).toBe('done')
  await until(() => writer.done.length > 3)
  wake.resolve()
  await firstRun
  const soFar = writer.done.length
  await until(() => writer.done.length > soFar + 3)
  await writer.stop()
  expect(store.shardOf(id)).toBe(to)
  expect((await chain.verify(id)).filter((key) => key.startsWith('w'))).toEqual(writer.done)
})

test('a late mover cannot close or delete a company that has come back', async () => {
  const { store, chain, moverOf, newCompany } = moving
  const { id, from, to } = await newCompany()
  const wakes: (() => void)[] = []
  onTestFinished(() => wakes.forEach((wake) => wake()))
  for (const at of ['verified', 'flipped'] as const) {
    const stalled = Promise.withResolvers<void>()
    const wake = Promise.withResolvers<void>()
    wakes.push(wake.resolve)
    const late = moverOf({
      async onStep(step) {
        if (step !== at) return
        stalled.resolve()
        await wake.promise
      },
    })
    const mover = moverOf()
    const move = await late.plan(id, to)
    const run = late.run(move.id).catch((error: unknown) => error)
    await stalled.promise
    await expireLease(move)
    expect((await mover.run(move.id)).state).toBe('done')
    expect((await mover.run((await mover.plan(id, from)).id)).state).toBe('done')
    wake.resolve()
    await run
    await chain.append(id, `after ${at}`)
  }
  expect(await chain.verify(id)).toHaveLength(5)
  expect(store.shardOf(id)).toBe(from)
})

test('a move can be paused, resumed and cancelled', async () => {
  const { store, chain, databases, moverOf, newCompany, rowsOn } = moving
  const { id, from, to } = await newCompany()
  const mover = moverOf()
  const rebalancer = createRebalancer({ store, mover, logger: silentLogger })
  const admin = createShardAdmin({ store, mover, rebalancer, shards: databases.shards, logger: silentLogger })
  const pausing = moverOf({
    async onStep(step, move) {
      if (step === 'copied') await admin.pause(move.id)
    },
  })
  const move = await pausing.plan(id, to)
  expect(await pausing.run(move.id)).toMatchObject({ state: 'copying', paused: true })
  expect(await moverOf().runIdle()).toBe(0)
  await chain.append(id, 'while paused')
  await admin.cancel(move.id)
  expect(await moverOf().run(move.id)).toMatchObject({ state: 'cancelled' })
  expect(await rowsOn(to, id)).toBe(0)
  expect(store.shardOf(id)).toBe(from)
  await chain.append(id, 'after')

  const again = await pausing.plan(id, to)
  await pausing.run(again.id)
  await admin.resume(again.id)
  expect((await moverOf().run(again.id)).state).toBe('done')
  const listed = await admin.moves({ companyId: id }, 10)
  expect(listed.map((entry) => [entry.id, entry.state])).toEqual([
    [again.id, 'done'],
    [move.id, 'cancelled'],
  ])
  expect(await admin.moves({ companyId: id, state: 'done', shard: to, before: again.id }, 10)).toEqual([])
  expect(listed[0]).toEqual(await findMove(store.catalog, again.id))
  await expect(admin.pause(again.id)).rejects.toMatchObject({ code: 'INVALID_TRANSITION' })
  expect(await chain.verify(id)).toHaveLength(5)
})

test('a pause that comes at the fence leaves neither the fence nor the old copy behind, and nothing is copied meanwhile', async () => {
  const { store, chain, databases, moverOf, newCompany, rowsOn } = moving
  const { id, from, to } = await newCompany()
  const mover = moverOf()
  const rebalancer = createRebalancer({ store, mover, logger: silentLogger })
  const admin = createShardAdmin({ store, mover, rebalancer, shards: databases.shards, logger: silentLogger })
  const wake = Promise.withResolvers<void>()
  onTestFinished(() => wake.resolve())
  const stalled = Promise.withResolvers<void>()
  const stalling = moverOf({
    async onStep(step, move) {
      if (step !== 'fenced') return
      await admin.pause(move.id)
      stalled.resolve()
      await wake.promise
    },
  })
  const move = await stalling.plan(id, to)
  const late = stalling.run(move.id).catch((error: unknown) => error)
  await stalled.promise
  await expireLease(move)
  await mover.runIdle()
  const paused = await findMove(store.catalog, move.id)
  expect(paused).toMatchObject({ state: 'copying', paused: true })
  await chain.append(id, 'while paused')
  expect(await mover.run(move.id)).toEqual(paused)
  wake.resolve()
  await late

  await admin.resume(move.id)
  const flipping = moverOf({
    cleanupDelayMs: 1,
    async onStep(step) {
      if (step === 'fenced') await admin.pause(move.id)
    },
  })
  expect(await flipping.run(move.id)).toMatchObject({ state: 'flipped', paused: true })
  await until(async () => {
    await mover.runIdle()
    return (await findMove(store.catalog, move.id)).state === 'done'
  })
  expect(await rowsOn(from, id)).toBe(0)
})

test('a copy that differs from the original is never flipped to', async () => {
  const { store, chain, moverOf, newCompany, rowsOn } = moving
  const { id, from, to } = await newCompany(5)
  await store.onPrimary(to, async (sql) => {
    await sql`
      create function forge() returns trigger language plpgsql as $$
      begin new.kind := 'forged'; return new; end $$`
    await sql.unsafe(`
      create trigger forge before insert or update on ledger_records
      for each row when (new.company_id = '${id}' and new.position = 2) execute function forge()`)
  })
  const mover = moverOf()
  const move = await mover.run((await mover.plan(id, to)).id)
  expect(move).toMatchObject({ state: 'failed', error: expect.stringContaining('LEDGER_CORRUPT') })
  expect(store.shardOf(id)).toBe(from)
  expect(await rowsOn(to, id)).toBe(0)
  await chain.append(id, 'after')
  expect(await chain.verify(id)).toHaveLength(6)
})

test('a company moves to one place at a time', async () => {
  const { moverOf, newCompany } = moving
  const { id, from, to } = await newCompany()
  const mover = moverOf()
  const move = await mover.plan(id, to)
  expect((await mover.plan(id, to)).id).toBe(move.id)
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'no error',
      (error: unknown) => (isAppError(error) ? error.code : String(error)),
    )
  expect(await codeOf(mover.plan(id, from))).toBe('BAD_USER_INPUT')
  expect(await codeOf(mover.plan(id, 'nowhere' as ShardId))).toBe('NOT_FOUND')
  await mover.run(move.id)
})

test('a company that does not exist is said not to exist, not to be on its shard already', async () => {
  const { moverOf, store } = moving
  const nobody = parseCompanyId('nobody')
  const codes = await Promise.all(
    store.shards.map((shard) =>
      moverOf()
        .plan(nobody, shard)
        .catch((error: unknown) => (isAppError(error) ? error.code : String(error))),
    ),
  )
  expect(new Set(codes)).toEqual(new Set(['NOT_FOUND']))
})

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { isAppError } from '../../core/errors.ts'
import { parseCompanyId, type CompanyId, type ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { createShardAdmin } from '../../store/admin.ts'
import { createMover, type Mover, type MoverDeps, type MoveStep } from '../../store/move/mover.ts'
import { createRebalancer, type Rebalance } from '../../store/move/rebalance.ts'
import { findMove, type Move } from '../../store/move/move-row.ts'
import type { Store } from '../../store/store.ts'
import { acquireShards } from '../support/postgres.ts'
import { createChain } from './chain.ts'
import { openStore } from './open-store.ts'
import { verifyStored } from './stored-ledger.ts'
import { until } from './until.ts'

let databases: Awaited<ReturnType<typeof acquireShards>>
let store: Store
let chain: ReturnType<typeof createChain>
beforeAll(async () => {
  databases = await acquireShards({ count: 2 })
  store = await openStore(databases)
  chain = createChain(store)
})
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await databases[Symbol.asyncDispose]()
})

const moverOf = (more: Partial<MoverDeps> = {}): Mover =>
  createMover({ store, logger: silentLogger, cleanupDelayMs: 0, ...more })

let companies = 0
async function newCompany(records = 3): Promise<{ id: CompanyId; from: ShardId; to: ShardId }> {
  const id = parseCompanyId(`mover-${companies++}`)
  for (let i = 0; i < records; i++) await chain.append(id, `before-${i}`)
  const from = store.shardOf(id)
  const to = store.shards.find((shard) => shard !== from)!
  return { id, from, to }
}

const rowsOn = (shard: ShardId, id: CompanyId): Promise<number> =>
  store.onPrimary(shard, async (sql) => {
    const [row] = await sql<{ count: number }[]>`
      select (select count(*) from ledger_records where company_id = ${id})
        + (select count(*) from ledger_heads where company_id = ${id} and size > 0)
        + (select count(*) from webhooks where company_id = ${id}) as count`
    return row!.count
  })

/** Appends without pause until told to stop; every key acknowledged is in `done`, one after the other. */
function startWriter(id: CompanyId, append: (id: CompanyId, key: string) => Promise<unknown> = chain.append) {
  const done: string[] = []
  let slowestMs = 0
  const state = { stopped: false }
  const running = (async () => {
    for (let i = 0; !state.stopped; i++) {
      const key = `w${i}`
      const startedAt = performance.now()
      await append(id, key)
      slowestMs = Math.max(slowestMs, performance.now() - startedAt)
      done.push(key)
    }
  })()
  // A test that fails must not leave its writer behind.
  onTestFinished(() => {
    state.stopped = true
    return running.catch(() => {})
  })
  return {
    done,
    slowestMs: () => slowestMs,
    async stop() {
      state.stopped = true
      await running
    },
  }
}

const expireLease = (move: Move) =>
  store.catalog`update company_moves set leased_until = now() - interval '1 s' where id = ${move.id}`

describe('a company that moves', () => {
  test('is read and written all the time, and is whole on its new shard alone', async () => {
    const { id, from, to } = await newCompany(50)
    const writer = startWriter(id)
    const mover = moverOf()
    const { id: moveId } = await mover.plan(id, to)
    const move = await mover.run(moveId)
    await until(() => writer.done.length > 20)
    await writer.stop()
    expect(move).toMatchObject({ state: 'done', error: null })
    expect(move.fenceMs).toBeLessThan(1_000)
    expect(writer.slowestMs()).toBeLessThan(1_500)
    expect(store.shardOf(id)).toBe(to)
    const keys = await chain.verify(id)
    expect(keys.filter((key) => key.startsWith('w'))).toEqual(writer.done)
    expect(keys).toHaveLength(50 + writer.done.length)
    expect(await rowsOn(from, id)).toBe(0)
  })

  test('takes along what changes and goes in any of its tables', async () => {
    const { id, from, to } = await newCompany()
    const insert = (name: string) =>
      store.onPrimary(
        from,
        (sql) => sql`
        insert into webhooks (company_id, webhook_id, url, secret) values (${id}, ${name}, 'https://a.example', '\\x01')`,
      )
    await insert('stays')
    await insert('changes')
    await insert('goes')
    const mover = moverOf({
      async onStep(step) {
        if (step !== 'copied') return
        await store.onPrimary(from, async (sql) => {
          await sql`update webhooks set url = 'https://b.example', kinds = ${['x', 'null', '{"']} where webhook_id = 'changes'`
          await sql`delete from webhooks where company_id = ${id} and webhook_id = 'goes'`
        })
        await insert(`comes-${Math.random()}`)
      },
    })
    await mover.run((await mover.plan(id, to)).id)
    const rows = await store.onPrimary(
      to,
      (sql) => sql`
      select webhook_id as name, url, kinds from webhooks where company_id = ${id} order by webhook_id`,
    )
    expect(rows.map(({ name }) => (name as string).replace(/-.*/, ''))).toEqual(['changes', 'comes', 'stays'])
    expect(rows[0]).toMatchObject({ url: 'https://b.example', kinds: ['x', 'null', '{"'] })
  })

  test('comes back to a shard that it has left', async () => {
    const { id, from, to } = await newCompany()
    const mover = moverOf()
    for (const target of [to, from, to]) {
      expect((await mover.run((await mover.plan(id, target)).id)).state).toBe('done')
      await chain.append(id, `on ${target} ${Math.random()}`)
    }
    expect(await chain.verify(id)).toHaveLength(6)
  })

  test('a process that has not heard of it is refused, asks the directory and tries again by itself', async () => {
    await using stale = await openStore(databases, { directoryPollMs: 3_600_000 })
    const { id, from, to } = await newCompany()
    const mover = moverOf()
    await mover.run((await mover.plan(id, to)).id)
    expect(stale.shardOf(id)).toBe(from)
    await createChain(stale).append(id, 'late')
    expect(stale.shardOf(id)).toBe(to)
    expect(await chain.verify(id)).toHaveLength(4)
    // A write without an append is refused just so.
    await stale.transact(id, (tx) => stale.claim(tx, id))
  })

  test("a reader that carries the mover's epoch finds it, though its process has not heard of the move", async () => {
    await using stale = await openStore(databases, { directoryPollMs: 3_600_000 })
    const { id, to } = await newCompany()
    const mover = moverOf()
    await mover.run((await mover.plan(id, to)).id)
    const { position } = await store.transact(id, async () => 1)
    const count = async (sql: Parameters<Parameters<Store['readOne']>[1]>[0]) =>
      (await sql`select from ledger_records where company_id = ${id}`).length
    expect(await stale.readOne(id, count)).toBe(0)
    expect(await stale.readOne(id, count, { position })).toBe(3)
  })
})

describe('a move that is interrupted', () => {
  const steps: MoveStep[] = ['taken', 'copied', 'verified', 'fenced', 'drained', 'opened', 'flipped', 'cleaned']

  test.each(steps)('a mover that stalls at "%s" and wakes after another has taken over can do no harm', async (at) => {
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
    const writer = startWriter(id)
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

  test('can be paused, resumed and cancelled', async () => {
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

  test('a copy that differs from the original is never flipped to', async () => {
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
})

test(
  '20 moves under constant writes, with movers killed at random: nothing is lost or doubled',
  { timeout: 90_000 },
  async () => {
    const ledger = createLedger({ store })
    const record = (key: string) => ({ kind: 'note.made', source: 'test', stream: 'notes', data: { key }, key })
    // Appends that are grouped, and business changes with a transaction of their own.
    const appends = [
      (id: CompanyId, key: string) => ledger.append(id, { records: [record(key)] }),
      (id: CompanyId, key: string) => ledger.change(id, async () => ({ value: null, records: [record(key)] })),
    ]
    const writers = await Promise.all(
      Array.from({ length: 4 }, async (_, i) => {
        const id = parseCompanyId(`constant-${i}`)
        await ledger.change(id, async () => ({ value: null, records: [record('first')] }))
        return { id, ...startWriter(id, appends[i % 2]) }
      }),
    )
    let mover: ChildProcess | undefined
    const startMover = async (): Promise<void> => {
      mover = spawn(
        process.execPath,
        [new URL('mover-process.ts', import.meta.url).pathname, JSON.stringify(databases)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      await once(mover.stdout!, 'data')
    }
    onTestFinished(() => void mover?.kill('SIGKILL'))
    await startMover()
    let kills = 0
    for (let i = 0; i < 20; i++) {
      const { id } = writers[i % writers.length]!
      await store.refresh()
      const target = store.shards.find((shard) => shard !== store.shardOf(id))!
      const { id: moveId } = await moverOf().plan(id, target)
      const finished = async () => (await findMove(store.catalog, moveId)).state === 'done'
      if (i % 3 === 1) {
        await setTimeout(Math.random() * 60)
        mover?.kill('SIGKILL')
        kills += 1
        await store.catalog`update company_moves set leased_until = now() where id = ${moveId} and state <> 'done'`
        await startMover()
      }
      await until(finished, 20_000)
    }
    expect(kills).toBe(7)
    await store.refresh()
    for (const { id, done, stop } of writers) {
      await stop()
      expect(done.length).toBeGreaterThan(20)
      expect(await verifyStored(store, id)).toEqual(['first', ...done])
      const other = store.shards.find((shard) => shard !== store.shardOf(id))!
      expect(await rowsOn(other, id)).toBe(0)
    }
  },
)

test('rebalancing gives a new shard its share, with its companies, while they are created and written to', async () => {
  await using three = await acquireShards({ count: 3 })
  await using small = await openStore({ ...three, shards: three.shards.slice(0, 2) })
  const before = createChain(small)
  const ids = Array.from({ length: 12 }, (_, i) => parseCompanyId(`rebalanced-${i}`))
  for (const id of ids) await before.append(id, 'first')

  await using grown = await openStore(three, { directoryPollMs: 50 })
  expect(grown.shards).toHaveLength(3)
  const chain = createChain(grown)
  const writer = startWriter(ids[0]!, chain.append)
  const mover = createMover({ store: grown, logger: silentLogger, cleanupDelayMs: 0 })
  const rebalancer = createRebalancer({ store: grown, mover, logger: silentLogger })
  const admin = createShardAdmin({ store: grown, mover, rebalancer, shards: three.shards, logger: silentLogger })
  expect((await admin.add(grown.shards[2]!)).buckets).toBe(0)
  const { id } = await admin.rebalance()
  expect((await admin.rebalance()).id).toBe(id)
  const interrupt = new AbortController()
  const half = await rebalancer.run(id, {
    signal: interrupt.signal,
    onProgress({ companiesMoved }) {
      if (companiesMoved > 0) interrupt.abort()
    },
  })
  expect(half).toMatchObject({ state: 'running', companiesMoved: 1 })
  await rebalancer.runIdle()
  const [{ companiesMoved, bucketsLeft, state }] = (await rebalancer.list(1)) as [Rebalance]
  let created = 0
  for (; created < 5; created++) await chain.append(parseCompanyId(`created-${created}`), 'first')
  await writer.stop()
  expect({ state, bucketsLeft }).toEqual({ state: 'done', bucketsLeft: 0 })
  expect(companiesMoved).toBeGreaterThan(1)
  const shards = await admin.list()
  for (const { buckets } of shards) expect(buckets).toBeGreaterThan(1_200)
  const placed = new Set(ids.map((id) => grown.shardOf(id)))
  expect(placed.has(grown.shards[2]!)).toBe(true)
  for (const id of ids) expect((await chain.verify(id))[0]).toBe('first')
  expect((await chain.verify(ids[0]!)).slice(1)).toEqual(writer.done)
  const again = await rebalancer.run((await admin.rebalance()).id)
  expect(again).toMatchObject({ state: 'done', buckets: 0, companiesMoved: 0 })
})

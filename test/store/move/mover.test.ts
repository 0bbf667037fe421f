import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Store } from '../../../store/store.ts'
import { createChain } from '../chain.ts'
import { openStore } from '../open-store.ts'
import { patientPool } from '../../support/patient-pool.ts'
import { until } from '../until.ts'
import { createMoving, type Moving, startWriter } from './moving.ts'

let moving: Moving
beforeAll(async () => {
  moving = await createMoving()
})
afterAll(() => moving[Symbol.asyncDispose]())

test('a company that moves is read and written all the time, and is whole on its new shard alone', async () => {
  const { store, chain, moverOf, newCompany, rowsOn } = moving
  const { id, from, to } = await newCompany(50)
  const writer = startWriter(id, chain.append)
  const mover = moverOf()
  const { id: moveId } = await mover.plan(id, to)
  const move = await mover.run(moveId)
  await until(() => writer.done.length > 20)
  await writer.stop()
  expect(move).toMatchObject({ state: 'done', error: null })
  expect(store.shardOf(id)).toBe(to)
  const keys = await chain.verify(id)
  expect(keys.filter((key) => key.startsWith('w'))).toEqual(writer.done)
  expect(keys).toHaveLength(50 + writer.done.length)
  expect(await rowsOn(from, id)).toBe(0)
})

test('a company that moves takes along what changes and goes in any of its tables', async () => {
  const { store, moverOf, newCompany } = moving
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

test('a company that moves comes back to a shard that it has left', async () => {
  const { chain, moverOf, newCompany } = moving
  const { id, from, to } = await newCompany()
  const mover = moverOf()
  for (const target of [to, from, to]) {
    expect((await mover.run((await mover.plan(id, target)).id)).state).toBe('done')
    await chain.append(id, `on ${target} ${Math.random()}`)
  }
  expect(await chain.verify(id)).toHaveLength(6)
})

test('a process that has not heard of it is refused, asks the directory and tries again by itself', async () => {
  const { chain, databases, moverOf, newCompany } = moving
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
  const { store, databases, moverOf, newCompany } = moving
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

test('a company whose rows take longer to copy than a statement may last moves all the same', async () => {
  const limitMs = 3_000
  await using slow = await createMoving({
    pool: { ...patientPool('memory-constrained'), statementTimeoutMs: limitMs },
  })
  const { store, chain, moverOf, newCompany } = slow
  const { id, to } = await newCompany(600)
  // A batch of rows takes less than the limit, all of them together more.
  await store.onPrimary(to, async (sql) => {
    await sql`
      create function slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(1.3); return null; end $$`
    await sql`create trigger slowly after insert on ledger_records for each statement execute function slowly()`
  })
  const mover = moverOf()
  expect(await mover.run((await mover.plan(id, to)).id)).toMatchObject({ state: 'done', error: null })
  await store.onPrimary(to, (sql) => sql`drop trigger slowly on ledger_records`)
  expect(await chain.verify(id)).toHaveLength(600)
})

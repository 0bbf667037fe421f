import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../../core/ids.ts'
import { createLedger } from '../../../ledger/ledger.ts'
import { findMove } from '../../../store/move/move-row.ts'
import { verifyStored } from '../stored-ledger.ts'
import { until } from '../until.ts'
import { createMoving, type Moving, startWriter } from './moving.ts'

let moving: Moving
beforeAll(async () => {
  moving = await createMoving()
})
afterAll(() => moving[Symbol.asyncDispose]())

test('20 moves under constant writes, with movers killed at random: nothing is lost or doubled', async () => {
  const { store, databases, moverOf, rowsOn } = moving
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
      return { id, ...startWriter(id, appends[i % 2]!) }
    }),
  )
  let mover: ChildProcess | undefined
  const startMover = async (): Promise<void> => {
    mover = spawn(
      process.execPath,
      [new URL('../mover-process.ts', import.meta.url).pathname, JSON.stringify(databases)],
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
    await until(finished)
  }
  expect(kills).toBe(7)
  await store.refresh()
  for (const { id, done, stop } of writers) {
    await until(() => done.length > 20)
    await stop()
    expect(await verifyStored(store, id)).toEqual(['first', ...done])
    const other = store.shards.find((shard) => shard !== store.shardOf(id))!
    expect(await rowsOn(other, id)).toBe(0)
  }
})

import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { silentLogger } from '../../core/log.ts'
import { createChangeStream } from '../../events/change-stream.ts'
import { createFollower } from '../../events/follow.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createLedger, type LedgerRecord } from '../../ledger/ledger.ts'
import { parseCompanyId } from '../../core/ids.ts'
import { createMover } from '../../store/move/mover.ts'
import { createOutsideFeed } from '../../events/outside-feed.ts'
import { createRelay } from '../../workers/relay.ts'
import { readPage } from '../support/feed.ts'
import { acquireShards } from '../support/postgres.ts'
import { openStore } from './open-store.ts'
import { until } from './until.ts'

test('a subscription goes on over moves, without a gap or a doubled record, and so does its cursor', async () => {
  await using databases = await acquireShards({ count: 2 })
  await using store = await openStore(databases)
  await using bus = createMemoryBus()
  await using relay = createRelay({ store, bus, logger: silentLogger, pollMs: 100 })
  await using changes = createChangeStream({ store, bus, logger: silentLogger, pollMs: 100 })
  await using follower = createFollower<LedgerRecord>({ store, changes, logger: silentLogger, readPage })
  await relay.start()
  await changes.start()
  const ledger = createLedger({ store, onAppended: (shard) => relay.nudge(shard) })
  const mover = createMover({ store, logger: silentLogger, cleanupDelayMs: 0 })

  const company = parseCompanyId('followed')
  const append = () =>
    ledger.change(company, async () => ({
      value: null,
      records: [{ kind: 'note.made', source: 'test', stream: 'notes', data: {} }],
    }))
  await append()
  const end = new AbortController()
  const seen: { position: number; cursor: string }[] = []
  const following = (async () => {
    for await (const { records } of await follower.follow(company, { signal: end.signal })) {
      for (const { cursor, record } of records) seen.push({ position: record.position, cursor })
    }
  })()
  let appended = 1
  for (let move = 0; move < 4; move++) {
    const target = store.shards.find((shard) => shard !== store.shardOf(company))!
    const moving = mover.run((await mover.plan(company, target)).id)
    for (let i = 0; i < 10; i++) {
      await append()
      appended += 1
      await setTimeout(2)
    }
    expect((await moving).state).toBe('done')
  }
  await append()
  appended += 1
  await until(() => seen.at(-1)?.position === appended - 1 || `${seen.length} of ${appended}`)
  expect(seen.map(({ position }) => position)).toEqual(Array.from({ length: appended - 1 }, (_, i) => i + 1))

  // From a cursor that an earlier shard gave out.
  const again: number[] = []
  const resumed = (async () => {
    const stream = await follower.follow(company, { after: seen[4]!.cursor, signal: end.signal })
    for await (const { records } of stream) again.push(...records.map(({ record }) => record.position))
  })()
  await until(() => again.at(-1) === appended - 1)
  expect(again[0]).toBe(6)
  end.abort()
  await Promise.all([following, resumed])

  // A program outside that reads both shards' feeds sees each record once, and in order in each.
  const feed = createOutsideFeed({ store, changes, logger: silentLogger, readPage })
  const outside = await Promise.all(
    store.shards.map(async (shard) => {
      const positions: number[] = []
      const { signal } = new AbortController()
      for (let after = '0'; ;) {
        const { lines, next } = await feed.read(shard, { after, limit: 7, signal })
        if (lines.length === 0) return positions
        after = next
        positions.push(...lines.map((line) => (JSON.parse(line) as { position: number }).position))
      }
    }),
  )
  for (const positions of outside) {
    expect(positions.length).toBeGreaterThan(0)
    expect(positions).toEqual(positions.toSorted((a, b) => a - b))
  }
  expect(outside.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: appended }, (_, i) => i))
})

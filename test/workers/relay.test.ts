import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import type { Change } from '../../events/change.ts'
import { createChangeStream } from '../../events/change-stream.ts'
import { createDirtySignal } from '../../events/dirty-signal.ts'
import { createFollower } from '../../events/follow.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createPostgresBus } from '../../events/postgres-bus.ts'
import { runFeedRound } from '../../ledger/feed.ts'
import { feedLags } from '../../ledger/feed-lag.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'
import { createMover } from '../../store/move/mover.ts'
import { createRelay } from '../../workers/relay.ts'
import { eventually, type Fixture, openFixture, readPage, someCompany } from '../support/feed.ts'
import { startLive } from '../support/live.ts'

let fixture: Fixture
let onAppended: (shard: string) => void = () => undefined
beforeAll(async () => {
  fixture = await openFixture(2, (shard) => onAppended(shard))
})
afterAll(() => fixture[Symbol.asyncDispose]())

async function positionsOf(
  stream: AsyncIterable<{ records: readonly { record: LedgerRecord }[] }>,
  into: number[],
): Promise<void> {
  for await (const { records } of stream) into.push(...records.map(({ record }) => record.position))
}

describe('the relay', () => {
  test('brings an append to a subscriber without waiting for a poll, over a real bus, in any process', async () => {
    const { store } = fixture
    const bus = () => createPostgresBus({ url: fixture.catalogUrl, prefix: 'relay-test', logger: silentLogger })
    // Three processes: one appends, one relays, one has the subscriber. No poll would come in time.
    await using appending = bus()
    await using relaying = bus()
    await using subscribing = bus()
    const never = 60_000
    await using relay = createRelay({ store, bus: relaying, logger: silentLogger, pollMs: never })
    await using changes = createChangeStream({ store, bus: subscribing, logger: silentLogger, pollMs: never })
    await using follower = createFollower<LedgerRecord>({ store, changes, logger: silentLogger, readPage })
    await relay.start()
    await changes.start()
    const dirty = createDirtySignal({ bus: appending })
    onAppended = (shard) => dirty.notify(shard as never)
    const company = someCompany()
    const end = new AbortController()
    const seen: number[] = []
    const reading = positionsOf(await follower.follow(company, { signal: end.signal }), seen)
    const times: number[] = []
    for (let i = 0; i < 20; i += 1) {
      await fixture.append(company, ['a'])
      const committed = performance.now()
      while (seen.length <= i) await new Promise((resolve) => setImmediate(resolve))
      times.push(performance.now() - committed)
    }
    end.abort()
    await reading
    onAppended = () => undefined
    // Single-digit milliseconds on an idle machine, which this may not be; a poll would take a minute.
    expect(Math.max(...times)).toBeLessThan(never / 2)
  })

  test('brings an append to the subscribers of its own process without the bus, and what the bus brings again is no harm', async () => {
    const { store } = fixture
    await using bus = createMemoryBus()
    const never = 60_000
    await using changes = createChangeStream({ store, bus, logger: silentLogger, pollMs: never })
    let lost = true
    const late: (() => void)[] = []
    const told = {
      ...bus,
      publish: async (channel: string, message: string) => void late.push(() => void bus.publish(channel, message)),
    }
    await using relay = createRelay({
      store,
      bus: told,
      onFed: (fed) => lost || changes.take(fed),
      logger: silentLogger,
      pollMs: never,
    })
    await using follower = createFollower<LedgerRecord>({ store, changes, logger: silentLogger, readPage })
    onAppended = (shard) => relay.nudge(shard as never)
    await changes.start()
    await relay.start()
    const company = someCompany()
    const end = new AbortController()
    const seen: number[] = []
    const reading = positionsOf(await follower.follow(company, { signal: end.signal }), seen)
    await fixture.append(company, ['told-to-nobody'])
    await eventually(() => expect(late.length).toBe(1))
    lost = false
    await fixture.append(company, ['told-here'])
    await eventually(() => expect(seen).toEqual([0, 1]))
    for (const bring of late) bring()
    await fixture.append(company, ['last'])
    await eventually(() => expect(seen).toEqual([0, 1, 2]))
    end.abort()
    await reading
    onAppended = () => undefined
  })

  test('is taken over when a leader is killed in the middle of a round', async () => {
    const { store } = fixture
    const company = someCompany()
    const shard = store.shardOf(company)
    const [url] = await store.onPrimary(shard, (sql) => sql<{ name: string }[]>`select current_database() as name`)
    const target = new URL(fixture.catalogUrl)
    target.pathname = `/${url?.name ?? ''}`
    await using live = await startLive(store)
    const holder = spawn(process.execPath, [
      fileURLToPath(new URL('../support/lock-holder.ts', import.meta.url)),
      target.href,
    ])
    using _killed = { [Symbol.dispose]: () => void holder.kill('SIGKILL') }
    await once(holder.stdout, 'data')
    await fixture.append(company, ['a'])
    const end = new AbortController()
    const seen: number[] = []
    const cursor = Buffer.from(`${company}:`).toString('base64url')
    const reading = positionsOf(await live.follower.follow(company, { signal: end.signal, after: cursor }), seen)
    await eventually(() => expect(seen).toEqual([0]))
    // The ledger itself can be replayed, but what comes now is told by the relay alone.
    await fixture.append(company, ['b'])
    expect(await feedLags(store)).toContainEqual(expect.objectContaining({ shard, waiting: 2 }))
    expect(seen).toEqual([0])
    holder.kill('SIGKILL')
    await eventually(() => expect(seen).toEqual([0, 1]))
    end.abort()
    await reading
  })

  test('is taken over when the host of a leader hangs, and its return doubles nothing', async () => {
    const { store, shards, catalogUrl } = fixture
    const company = someCompany()
    await fixture.append(company, ['a'])
    const leader = spawn(process.execPath, [
      fileURLToPath(new URL('../support/relay-process.ts', import.meta.url)),
      JSON.stringify({ shards, catalogUrl }),
    ])
    using _killed = { [Symbol.dispose]: () => void leader.kill('SIGKILL') }
    await once(leader.stdout, 'data')
    await using live = await startLive(store)
    const end = new AbortController()
    const seen: number[] = []
    const reading = positionsOf(await live.follower.follow(company, { signal: end.signal }), seen)
    let written = 1
    const write = async (): Promise<void> => {
      await fixture.append(company, ['b'])
      written += 1
    }
    for (let hang = 0; hang < 5; hang += 1) {
      // While it is at it: appends keep its rounds busy.
      await Promise.all([write(), write(), write()])
      leader.kill('SIGSTOP')
      await write()
      await eventually(() => expect(seen.at(-1)).toBe(written - 1))
      leader.kill('SIGCONT')
    }
    expect(seen).toEqual(Array.from({ length: written - 1 }, (_, index) => index + 1))
    end.abort()
    await reading
  })

  test('that dies between commit and message leaves no gap: the next change shows what is missing', async () => {
    const { store } = fixture
    const bus = createMemoryBus()
    await using changes = createChangeStream({ store, bus, logger: silentLogger, pollMs: 60_000 })
    const seen: Change[] = []
    const ready = Promise.withResolvers<void>()
    let resets = 0
    using _listening = changes.subscribe({
      change: (change) => seen.push(change),
      reset: () => {
        resets += 1
        if (resets === store.shards.length) ready.resolve()
      },
    })
    await changes.start()
    await ready.promise
    const [lost, told] = [someCompany(), someCompany()]
    const shard = store.shardOf(lost)
    await fixture.append(lost, ['a'])
    // The round of a process that was killed before it could publish.
    await store.onPrimary(shard, (sql) => runFeedRound(sql, { limit: 100, all: true }))
    await using relay = createRelay({ store, bus, logger: silentLogger, pollMs: 20 })
    await relay.start()
    await fixture.append(told, ['b'])
    let next: CompanyId = someCompany()
    while (store.shardOf(next) !== shard) next = someCompany()
    await fixture.append(next, ['c'])
    await eventually(() =>
      expect(seen.map((change) => change.companyId)).toEqual(expect.arrayContaining([lost, told, next])),
    )
    const here = seen.filter((change) => change.shard === shard).map((change) => change.feedPosition)
    expect(here).toEqual(here.map((_, index) => here[0]! + index))
    await bus[Symbol.asyncDispose]()
  })

  test('loses, doubles and reorders nothing for a subscriber whose company moves to another shard while it grows', async () => {
    const { store } = fixture
    await using live = await startLive(store)
    const company = someCompany()
    await fixture.append(company, ['a'])
    const end = new AbortController()
    const seen: number[] = []
    const reading = positionsOf(await live.follower.follow(company, { signal: end.signal }), seen)
    const writing = new AbortController()
    let written = 1
    const writer = (async () => {
      while (!writing.signal.aborted) {
        await fixture.append(company, ['b'])
        written += 1
      }
    })()
    const mover = createMover({
      store,
      logger: silentLogger,
      cleanupDelayMs: 0,
      onDirectoryChanged: () => store.refresh(),
    })
    for (let i = 0; i < 2; i += 1) {
      const from = store.shardOf(company)
      const move = await mover.plan(
        company,
        store.shards.find((shard) => shard !== from)!,
      )
      await mover.run(move.id)
      await eventually(() => expect(store.shardOf(company)).not.toBe(from))
      const before = written
      await eventually(() => expect(written).toBeGreaterThan(before + 5))
    }
    writing.abort()
    await writer
    await eventually(() => expect(seen.at(-1)).toBe(written - 1))
    expect(seen).toEqual(Array.from({ length: written - 1 }, (_, index) => index + 1))
    end.abort()
    await reading
  })
})

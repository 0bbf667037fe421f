import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompanyId, ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createFeedConsumer } from '../../ledger/feed-consumer.ts'
import { advanceCursor, forgetConsumer } from '../../ledger/feed-cursor.ts'
import { feedLag } from '../../ledger/feed-lag.ts'
import { type FeedRow, runFeedRound, trimFeed } from '../../ledger/feed.ts'
import type { Store } from '../../store/store.ts'
import { eventually, type Fixture, openFixture, someCompany } from '../support/feed.ts'

let fixture: Fixture
let store: Store
beforeAll(async () => {
  fixture = await openFixture(2)
  store = fixture.store
})
afterAll(() => fixture[Symbol.asyncDispose]())

async function append(companyId: CompanyId, ...kinds: string[]): Promise<void> {
  await fixture.append(companyId, kinds)
  await store.onPrimary(store.shardOf(companyId), (sql) => runFeedRound(sql, { limit: 100, all: false }))
}

let consumers = 0

/** A consumer of its own, that begins with what comes. */
function consumer(
  handle: (shard: ShardId, rows: readonly FeedRow[], signal: AbortSignal) => Promise<void>,
  name = `consumer-${(consumers += 1)}`,
) {
  const created = createFeedConsumer({
    store,
    logger: silentLogger,
    name,
    begin: 'now',
    handle,
    pollMs: 20,
    // Longer than any machine takes for a change: what is to lapse here is set so.
    leaseMs: 60_000,
    maxPauseMs: 2_000,
  })
  return Object.assign(created, { name })
}

const begun = (name: string): Promise<void> =>
  eventually(async () => {
    const lags = await Promise.all(store.shards.map((shard) => store.onPrimary(shard, feedLag)))
    expect(lags.every(({ consumers }) => consumers.some((entry) => entry.consumer === name))).toBe(true)
  })

describe('a durable consumer', () => {
  test('handles every change of every shard once, in order per company, and goes on behind its cursor after a restart', async () => {
    const companies = Array.from({ length: 6 }, someCompany)
    const seen = new Map<CompanyId, number[]>()
    const handle = async (_shard: ShardId, rows: readonly FeedRow[]): Promise<void> => {
      for (const row of rows) seen.set(row.companyId, [...(seen.get(row.companyId) ?? []), row.from])
    }
    const first = consumer(handle)
    await first.start()
    await begun(first.name)
    for (let i = 0; i < 5; i += 1) for (const company of companies) await append(company, 'a')
    await eventually(() => expect([...seen.values()].flat().length).toBe(30))
    await first[Symbol.asyncDispose]()
    for (const company of companies) await append(company, 'while-it-was-away')
    await using second = consumer(handle, first.name)
    await second.start()
    await eventually(() => expect([...seen.values()].flat().length).toBe(36))
    for (const company of companies) expect(seen.get(company)).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('that fails tries again with pauses, and delays no other consumer; its lag and its error can be seen', async () => {
    const company = someCompany()
    const shard = store.shardOf(company)
    const healthySaw: string[] = []
    let broken = true
    let tries = 0
    await using failing = consumer(async () => {
      tries += 1
      if (broken) throw new Error('the far end is down')
    })
    await using healthy = consumer(async (_shard, rows) => {
      healthySaw.push(...rows.map((row) => row.companyId))
    })
    await failing.start()
    await healthy.start()
    await begun(failing.name)
    await begun(healthy.name)
    await append(company, 'a')
    await append(company, 'a')
    await eventually(() => expect(healthySaw.filter((id) => id === company).length).toBe(2))
    await eventually(async () => {
      const { consumers: lags } = await store.onPrimary(shard, feedLag)
      expect(lags.find((lag) => lag.consumer === failing.name)).toMatchObject({
        behind: 2,
        lastError: 'Error: the far end is down',
      })
      expect(lags.find((lag) => lag.consumer === healthy.name)).toMatchObject({
        behind: 0,
        behindMs: 0,
        failures: 0,
        lastError: null,
      })
    })
    await eventually(() => expect(tries).toBeGreaterThan(2))
    broken = false
    await eventually(async () => {
      const { consumers: lags } = await store.onPrimary(shard, feedLag)
      expect(lags.find((lag) => lag.consumer === failing.name)).toMatchObject({
        behind: 0,
        failures: 0,
        lastError: null,
      })
    })
  })

  test('that crashes between effect and cursor is given the same changes again, and nothing is passed over', async () => {
    const company = someCompany()
    const effects: number[] = []
    const crashed = Promise.withResolvers<void>()
    // Has its effect and then neither returns nor lets go: what a killed process leaves behind.
    const dying = consumer(async (_shard, rows, signal) => {
      effects.push(...rows.map((row) => row.from))
      crashed.resolve()
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('killed'))))
    })
    await dying.start()
    await begun(dying.name)
    await append(company, 'a')
    await crashed.promise
    await dying[Symbol.asyncDispose]()
    await using next = consumer(async (_shard, rows) => {
      effects.push(...rows.map((row) => row.from))
    }, dying.name)
    await append(company, 'b')
    await next.start()
    await eventually(() => expect(effects.at(-1)).toBe(1))
    expect(effects.slice(0, 2)).toEqual([0, 0])
  })

  test('is taken over when the process that holds its lease dies, and the dead one can move the cursor no more', async () => {
    const company = someCompany()
    const shard = store.shardOf(company)
    const name = `taken-over-${consumers}`
    const seen: number[] = []
    await using survivor = consumer(async (_shard, rows) => {
      seen.push(...rows.filter((row) => row.companyId === company).map((row) => row.from))
    }, name)
    await survivor.start()
    await begun(name)
    // A process that took the lease and was then killed.
    await store.onPrimary(
      shard,
      (sql) => sql`
      update feed_cursors set owner = 'the dead', leased_until = clock_timestamp() + interval '500 ms' where consumer = ${name}`,
    )
    await append(company, 'a')
    await eventually(() => expect(seen).toEqual([0]))
    expect(await store.onPrimary(shard, (sql) => advanceCursor(sql, name, 'the dead', 1_000_000, 4_000))).toBe(false)
    await append(company, 'b')
    await eventually(() => expect(seen).toEqual([0, 1]))
  })

  test('is run by one of the processes that offer it at a time', async () => {
    const company = someCompany()
    const name = `shared-${consumers}`
    let running = 0
    let most = 0
    const seen: number[] = []
    const handle = async (shard: ShardId, rows: readonly FeedRow[]): Promise<void> => {
      if (shard !== store.shardOf(company)) return
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setImmediate(resolve))
      seen.push(...rows.filter((row) => row.companyId === company).map((row) => row.from))
      running -= 1
    }
    await using one = consumer(handle, name)
    await using two = consumer(handle, name)
    await one.start()
    await two.start()
    await begun(name)
    for (let i = 0; i < 20; i += 1) await append(company, 'a')
    await eventually(() => expect(seen.length).toBe(20))
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index))
    expect(most).toBe(1)
  })

  test('that is gone holds up the trimming of the feed until it is forgotten', async () => {
    const company = someCompany()
    const shard = store.shardOf(company)
    const gone = consumer(async () => undefined)
    await gone.start()
    await begun(gone.name)
    await gone[Symbol.asyncDispose]()
    await append(company, 'a')
    const { head } = await store.onPrimary(shard, feedLag)
    const trim = () => store.onPrimary(shard, (sql) => trimFeed(sql, { keepMs: 0, limit: 10_000 }))
    const others = (await store.onPrimary(shard, feedLag)).consumers.filter(({ consumer: name }) => name !== gone.name)
    for (const { consumer: name } of others) await store.onPrimary(shard, (sql) => forgetConsumer(sql, name))
    await trim()
    expect(await store.onPrimary(shard, feedLag)).toMatchObject({ head, kept: 1 })
    expect(await store.onPrimary(shard, (sql) => forgetConsumer(sql, gone.name))).toBe(true)
    expect(await trim()).toBe(1)
    expect(await store.onPrimary(shard, feedLag)).toEqual({ head, kept: 0, waiting: 0, consumers: [] })
    expect(await store.onPrimary(shard, (sql) => forgetConsumer(sql, gone.name))).toBe(false)
  })

  test('that is forgotten while it runs begins anew and misses nothing from then on', async () => {
    const company = someCompany()
    const shard = store.shardOf(company)
    const seen: number[] = []
    await using running = consumer(async (_shard, rows) => {
      seen.push(...rows.filter((row) => row.companyId === company).map((row) => row.from))
    })
    await running.start()
    await begun(running.name)
    await append(company, 'a')
    await eventually(() => expect(seen).toEqual([0]))
    expect(await store.onPrimary(shard, (sql) => forgetConsumer(sql, running.name))).toBe(true)
    await begun(running.name)
    await append(company, 'b')
    await eventually(() => expect(seen).toEqual([0, 1]))
  })
})

import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompanyId, ShardId } from '../../core/ids.ts'
import { feedBounds, type FeedRow, readFeed, runFeedRound, trimFeed } from '../../ledger/feed.ts'
import type { Store } from '../../store/store.ts'
import { type Fixture, openFixture, someCompany } from '../support/feed.ts'

let fixture: Fixture
let store: Store
let shard: ShardId

beforeAll(async () => {
  fixture = await openFixture(1)
  store = fixture.store
  shard = store.shards[0]!
})
afterAll(() => fixture[Symbol.asyncDispose]())

async function round(all = false, limit = 1_000): Promise<readonly FeedRow[]> {
  const result = await store.onPrimary(shard, (sql) => runFeedRound(sql, { limit, all }))
  if (result.kind !== 'led') throw new Error('another round is running')
  return result.rows
}

/** All feed rows of one company, oldest first. */
async function fed(companyId: CompanyId): Promise<FeedRow[]> {
  const { rows } = await store.onPrimary(shard, (sql) => readFeed(sql, { after: 0, limit: 100_000 }))
  return rows.filter((row) => row.companyId === companyId)
}

describe('a round of the feed', { concurrent: false }, () => {
  test('writes one row for each advanced head, with its records and their kinds, and covers them with a log position', async () => {
    const company = someCompany()
    await fixture.append(company, ['a', 'b', 'a'])
    await fixture.append(company, ['c'])
    const rows = (await round()).filter((row) => row.companyId === company)
    expect(rows).toEqual([
      {
        feedPosition: expect.any(Number),
        companyId: company,
        from: 0,
        count: 4,
        kinds: ['a', 'b', 'c'],
        lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/),
      },
    ])
    expect(await round()).toEqual([])
  })

  test('gives out feed positions without a gap, also where rounds find nothing or are rolled back', async () => {
    const { head } = await store.onPrimary(shard, feedBounds)
    await round()
    await store
      .onPrimary(shard, (sql) =>
        sql.begin(async (tx) => {
          await tx`select * from feed_round(10, false)`
          await tx`select 1 / 0`
        }),
      )
      .catch(() => undefined)
    for (let i = 0; i < 3; i += 1) {
      await fixture.append(someCompany(), ['a'])
      await fixture.append(someCompany(), ['a'])
      await round()
    }
    const { rows } = await store.onPrimary(shard, (sql) => readFeed(sql, { after: head, limit: 100 }))
    expect(rows.map((row) => row.feedPosition)).toEqual([1, 2, 3, 4, 5, 6].map((step) => head + step))
  })

  test('finds a change that took its id early and committed late', async () => {
    const [slow, fast] = [someCompany(), someCompany()]
    const held = Promise.withResolvers<void>()
    const inside = Promise.withResolvers<void>()
    const late = fixture.append(slow, ['late'], async () => {
      inside.resolve()
      await held.promise
    })
    await inside.promise
    await fixture.append(fast, ['early'])
    expect((await round()).map((row) => row.companyId)).toContain(fast)
    expect(await fed(slow)).toEqual([])
    held.resolve()
    await late
    expect((await round()).map((row) => row.companyId)).toEqual([slow])
  })

  test('is not held up by an open transaction in another database of the cluster', async () => {
    const company = someCompany()
    const held = Promise.withResolvers<void>()
    const open = store.catalog.begin(async (tx) => {
      // Holds a transaction id and a snapshot: what a feed by transaction ids would wait for.
      await tx`select pg_current_xact_id()`
      await held.promise
    })
    await fixture.append(company, ['a'])
    expect((await round()).map((row) => row.companyId)).toEqual([company])
    held.resolve()
    await open
  })

  test('is led by one process at a time; the others are told so at once and nothing is fed twice', async () => {
    const company = someCompany()
    const led = Promise.withResolvers<void>()
    const finish = Promise.withResolvers<void>()
    const leader = store.onPrimary(shard, (sql) =>
      sql.begin(async (tx) => {
        await tx`select position from feed_state for update`
        led.resolve()
        await finish.promise
      }),
    )
    await led.promise
    await fixture.append(company, ['during-a-change-of-leader'])
    const other = await store.onPrimary(shard, (sql) => runFeedRound(sql, { limit: 10, all: false }))
    expect(other).toEqual({ kind: 'taken' })
    finish.resolve()
    await leader
    await Promise.all(
      Array.from({ length: 8 }, () => store.onPrimary(shard, (sql) => runFeedRound(sql, { limit: 10, all: false }))),
    )
    await round()
    expect(await fed(company)).toMatchObject([{ from: 0, count: 1 }])
  })

  test('loses nothing of what many writers append while several processes lead in turn', async () => {
    const companies = Array.from({ length: 12 }, someCompany)
    const writing = new AbortController()
    const leaders = Array.from({ length: 3 }, async () => {
      while (!writing.signal.aborted) await store.onPrimary(shard, (sql) => runFeedRound(sql, { limit: 5, all: false }))
    })
    await Promise.all(
      companies.map(async (company, index) => {
        for (let i = 0; i < 20; i += 1)
          await fixture.append(
            company,
            Array.from({ length: (index % 3) + 1 }, () => 'a'),
          )
      }),
    )
    writing.abort()
    await Promise.all(leaders)
    while ((await round()).length > 0);
    for (const [index, company] of companies.entries()) {
      let next = 0
      for (const row of await fed(company)) {
        expect(row.from).toBe(next)
        next += row.count
      }
      expect(next).toBe(20 * ((index % 3) + 1))
    }
  })

  test('that compares all heads finds what has no dirty row, a page at a time', async () => {
    const companies = [someCompany(), someCompany(), someCompany()].sort()
    for (const company of companies) await fixture.append(company, ['a'])
    await store.onPrimary(shard, (sql) => sql`delete from feed_dirty`)
    expect(await round()).toEqual([])
    const first = await store.onPrimary(shard, (sql) => runFeedRound(sql, { limit: 2, all: true }))
    expect(first).toMatchObject({ kind: 'led', more: true })
    expect((await round(true, 2)).length).toBe(1)
    for (const company of companies) expect(await fed(company)).toMatchObject([{ from: 0, count: 1 }])
  })

  test('does not feed the history of a company again that came from another shard with its feed head', async () => {
    const company = someCompany()
    await store.onPrimary(shard, async (sql) => {
      await sql`insert into feed_heads (company_id, size) values (${company}, 3)`
    })
    await fixture.append(company, ['moved', 'moved', 'moved', 'not-fed-before-the-move'])
    expect(await round()).toMatchObject([{ companyId: company, from: 3, count: 1, kinds: ['not-fed-before-the-move'] }])
  })
})

describe('trimming the feed', () => {
  test('keeps what a durable consumer has not read, and tells a reader that came too late', async () => {
    for (let i = 0; i < 4; i += 1) {
      await fixture.append(someCompany(), ['a'])
      await round()
    }
    const { head } = await store.onPrimary(shard, feedBounds)
    await store.onPrimary(
      shard,
      (sql) => sql`insert into feed_cursors (consumer, position) values ('slow', ${head - 2})`,
    )
    await store.onPrimary(shard, (sql) => trimFeed(sql, { keepMs: 0, limit: 100_000 }))
    const { rows, trimmed } = await store.onPrimary(shard, (sql) => readFeed(sql, { after: head - 2, limit: 10 }))
    expect({ positions: rows.map((row) => row.feedPosition), trimmed }).toEqual({
      positions: [head - 1, head],
      trimmed: false,
    })
    expect((await store.onPrimary(shard, (sql) => readFeed(sql, { after: 0, limit: 1 }))).trimmed).toBe(true)
    await store.onPrimary(shard, (sql) => sql`delete from feed_cursors where consumer = 'slow'`)
    expect(await store.onPrimary(shard, (sql) => trimFeed(sql, { keepMs: 3_600_000, limit: 10 }))).toBe(0)
  })
})

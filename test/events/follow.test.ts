import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { decodePosition } from '../../core/position.ts'
import type { Bus } from '../../events/bus.ts'
import { type ChangeStream, createChangeStream } from '../../events/change-stream.ts'
import { encodeCursor } from '../../events/cursor.ts'
import { createFollower, type FollowedBatch, type Follower } from '../../events/follow.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'
import type { Store } from '../../store/store.ts'
import { createRelay, type Relay } from '../../workers/relay.ts'
import { eventually, type Fixture, openFixture, readPage, someCompany } from '../support/feed.ts'

let fixture: Fixture
let store: Store
let bus: Bus
let relay: Relay
let changes: ChangeStream
let follower: Follower<LedgerRecord>
let reads = 0

beforeAll(async () => {
  fixture = await openFixture(2)
  store = fixture.store
  bus = createMemoryBus()
  relay = createRelay({ store, bus, logger: silentLogger, pollMs: 200 })
  changes = createChangeStream({ store, bus, logger: silentLogger, pollMs: 100 })
  follower = createFollower<LedgerRecord>({
    store,
    changes,
    logger: silentLogger,
    readPage: (sql, companyId, page) => {
      reads += 1
      return readPage(sql, companyId, page)
    },
  })
  await relay.start()
  await changes.start()
})
afterAll(async () => {
  await follower[Symbol.asyncDispose]()
  await changes[Symbol.asyncDispose]()
  await relay[Symbol.asyncDispose]()
  await bus[Symbol.asyncDispose]()
  await fixture[Symbol.asyncDispose]()
})

async function append(companyId: CompanyId, ...kinds: string[]): Promise<void> {
  await fixture.append(companyId, kinds)
  relay.nudge(store.shardOf(companyId))
}

/** Reads on in the background. */
function collect(stream: AsyncIterable<FollowedBatch<LedgerRecord>>): {
  positions: number[]
  cursors: string[]
  batches: FollowedBatch<LedgerRecord>[]
  ended: Promise<void>
} {
  const seen = {
    positions: [] as number[],
    cursors: [] as string[],
    batches: [] as FollowedBatch<LedgerRecord>[],
    ended: Promise.resolve(),
  }
  seen.ended = (async () => {
    for await (const batch of stream) {
      seen.batches.push(batch)
      for (const { cursor, record } of batch.records) {
        seen.positions.push(record.position)
        seen.cursors.push(cursor)
      }
    }
  })()
  return seen
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index)

describe('following a company', () => {
  test('brings what is appended from now on, each with a cursor and a position token that covers it', async () => {
    const company = someCompany()
    await append(company, 'old')
    const end = new AbortController()
    const seen = collect(await follower.follow(company, { signal: end.signal }))
    await append(company, 'new', 'new')
    await eventually(() => expect(seen.positions).toEqual([1, 2]))
    expect(seen.cursors).toEqual([encodeCursor(company, 1), encodeCursor(company, 2)])
    expect([...decodePosition(seen.batches[0]!.position).shards.keys()]).toEqual([store.shardOf(company)])
    end.abort()
    await seen.ended
    expect(follower.counts()).toEqual({ companies: 0, readers: 0 })
  })

  test('goes on behind a cursor without gap or repetition, while the ledger grows faster than it is replayed', async () => {
    const company = someCompany()
    await append(company, ...range(0, 950).map(() => 'a'))
    const end = new AbortController()
    const writing = new AbortController()
    const writer = (async () => {
      while (!writing.signal.aborted) {
        await append(company, ...range(0, 40).map(() => 'b'))
        await turn()
      }
    })()
    const seen = collect(await follower.follow(company, { after: encodeCursor(company, 9), signal: end.signal }))
    await eventually(() => expect(seen.positions.length).toBeGreaterThan(1_500))
    writing.abort()
    await writer
    const size = await store.readOne(
      company,
      async (sql) => (await sql`select size from ledger_heads where company_id = ${company}`)[0]!.size as number,
    )
    await eventually(() => expect(seen.positions.at(-1)).toBe(size - 1))
    expect(seen.positions).toEqual(range(10, size))
    end.abort()
    await seen.ended
  })

  test('before the first record replays the whole ledger', async () => {
    const company = someCompany()
    await append(company, 'a', 'b')
    const end = new AbortController()
    const seen = collect(await follower.follow(company, { after: encodeCursor(company, -1), signal: end.signal }))
    await eventually(() => expect(seen.positions).toEqual([0, 1]))
    end.abort()
    await seen.ended
  })

  test('leaves out what the filter does not want, and does not read it where the change already tells', async () => {
    const company = someCompany()
    const end = new AbortController()
    const seen = collect(await follower.follow(company, { kinds: ['wanted'], signal: end.signal }))
    const before = reads
    await append(company, 'other')
    await append(company, 'other', 'other')
    await append(company, 'wanted')
    await append(company, 'other', 'wanted', 'other')
    await eventually(() => expect(seen.positions).toEqual([3, 5]))
    expect(reads - before).toBeLessThanOrEqual(2)
    end.abort()
    await seen.ended
  })

  test('refuses a cursor of another ledger, one beyond the end, and one that is none', async () => {
    const [company, other] = [someCompany(), someCompany()]
    await append(company, 'a')
    const { signal } = new AbortController()
    for (const after of [encodeCursor(other, 0), encodeCursor(company, 1), 'nonsense', '', 'x'.repeat(10_000)]) {
      const error: unknown = await follower.follow(company, { after, signal }).catch((reason: unknown) => reason)
      expect(isAppError(error, 'INVALID_CURSOR')).toBe(true)
    }
    expect(follower.counts().readers).toBe(0)
  })

  test('shares one read among all readers at the same place', async () => {
    const company = someCompany()
    const end = new AbortController()
    const readers = await Promise.all(
      range(0, 100).map(async () => collect(await follower.follow(company, { signal: end.signal }))),
    )
    const before = reads
    await append(company, 'a', 'a', 'a')
    await eventually(() => expect(readers.every((reader) => reader.positions.length === 3)).toBe(true))
    expect(reads - before).toBe(1)
    end.abort()
    await Promise.all(readers.map((reader) => reader.ended))
  })

  test('holds nothing for a slow reader, who still gets everything in order', async () => {
    const company = someCompany()
    const end = new AbortController()
    const stream = await follower.follow(company, { signal: end.signal })
    const first = stream.next()
    for (let i = 0; i < 30; i += 1) await append(company, ...range(0, 20).map(() => 'a'))
    const positions: number[] = []
    for (let batch = await first; batch.done !== true && positions.length < 600; batch = await stream.next()) {
      positions.push(...batch.value.records.map(({ record }) => record.position))
      if (positions.length === 600) break
    }
    expect(positions).toEqual(range(0, 600))
    await stream.return?.()
    expect(follower.counts().readers).toBe(0)
  })

  test('ends a reader that waits, when it is returned and when it never began', async () => {
    const company = someCompany()
    const { signal } = new AbortController()
    const waiting = await follower.follow(company, { signal })
    const next = waiting.next()
    await waiting.return?.()
    expect((await next).done).toBe(true)
    const unread = await follower.follow(company, { signal })
    await unread.return?.()
    expect(follower.counts().readers).toBe(0)
  })

  test('of a company that does not exist yet begins with its first record', async () => {
    const company = parseCompanyId(`new-${Date.now()}`)
    const end = new AbortController()
    const seen = collect(await follower.follow(company, { signal: end.signal }))
    await append(company, 'created')
    await eventually(() => expect(seen.positions).toEqual([0]))
    end.abort()
    await seen.ended
  })
})

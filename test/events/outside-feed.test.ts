import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAppError } from '../../core/errors.ts'
import { type CompanyId, parseShardId, type ShardId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createOutsideFeed, type OutsideFeed } from '../../events/outside-feed.ts'
import { feedBounds, trimFeed } from '../../ledger/feed.ts'
import { eventually, type Fixture, openFixture, readPage, someCompany } from '../support/feed.ts'
import { type Live, startLive } from '../support/live.ts'

let fixture: Fixture
let live: Live
let feed: OutsideFeed
let shard: ShardId
const { signal } = new AbortController()
beforeAll(async () => {
  fixture = await openFixture(1)
  live = await startLive(fixture.store)
  shard = fixture.store.shards[0]!
  feed = createOutsideFeed({ store: fixture.store, changes: live.changes, logger: silentLogger, readPage })
})
afterAll(async () => {
  await live[Symbol.asyncDispose]()
  await fixture[Symbol.asyncDispose]()
})

interface CloudEvent {
  readonly id: string
  readonly feedcursor: string
}
const parsed = (lines: readonly string[]): CloudEvent[] => lines.map((line) => JSON.parse(line) as CloudEvent)
/** The feed's end, once all that was appended before is in it. */
const head = async (): Promise<string> => {
  await eventually(async () => {
    const [row] = await fixture.store.onPrimary(
      shard,
      (sql) => sql<{ n: number }[]>`select count(*) as n from feed_dirty`,
    )
    expect(row?.n).toBe(0)
  })
  return String((await fixture.store.onPrimary(shard, feedBounds)).head)
}
const codeOf = async (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => 'none',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  )
const idsOf = (company: CompanyId, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${company}:${from + index}`)

/** What CloudEvents 1.0 says of context attributes and of the JSON format; a sentence for each breach. */
function breaches(line: string): string[] {
  const event = JSON.parse(line) as Record<string, unknown>
  const { data: _data, ...attributes } = event
  const text = (name: string, pattern: RegExp): string[] =>
    typeof event[name] === 'string' && pattern.test(event[name]) ? [] : [`${name}: ${String(event[name])}`]
  return [
    ...text('specversion', /^1\.0$/),
    ...text('id', /./),
    ...text('type', /./),
    // A URI-reference, as RFC 3986 has it.
    ...text('source', /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/),
    ...text('subject', /./),
    // RFC 3339.
    ...text('time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/),
    ...text('datacontenttype', /^application\/json$/),
    ...('data_base64' in event ? ['data and data_base64 exclude each other'] : []),
    ...Object.entries(attributes).flatMap(([name, value]) => [
      ...(/^[a-z0-9]{1,20}$/.test(name) ? [] : [`an attribute is called ${name}`]),
      // Boolean, Integer of 32 bits, or one of the types that are strings; never null or an object.
      ...(typeof value === 'string' ||
      typeof value === 'boolean' ||
      (Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31)
        ? []
        : [`${name} is a ${typeof value}`]),
    ]),
  ]
}

describe('the feed for programs outside', () => {
  test('keeps to CloudEvents 1.0 for all that a ledger may hold', async () => {
    const company = someCompany()
    const after = await head()
    const strange = ['a/b', 'A:b-c_d.e', 'x'.repeat(100)]
    await fixture.append(company, strange)
    await fixture.ledger.append(company, {
      records: [
        {
          kind: 'k',
          source: 'urn:söme "source"',
          stream: 'stream/ä "quoted"',
          data: { feedcursor: '9', id: '\u0001"\n' },
        },
        { kind: 'k', source: 's', stream: 's', data: {} },
        { kind: 'k', source: 's', stream: 's', data: { list: [1, 'two', { three: 3 }], nothing: null } },
      ],
    })
    const lines: string[] = []
    for (let cursor = after; lines.length < 6;) {
      const batch = await feed.read(shard, { after: cursor, waitMs: 10_000, signal })
      lines.push(...batch.lines)
      cursor = batch.next
    }
    expect(lines.flatMap(breaches)).toEqual([])
    expect(lines.map((line) => (JSON.parse(line) as { type: string }).type)).toEqual([...strange, 'k', 'k', 'k'])
    expect(breaches('{"specversion":"1.0","id":"","source":"a b","Type":1}').length).toBeGreaterThan(5)
  })

  test('gives each record as a CloudEvent 1.0 with a stable id and the canonical data', async () => {
    const company = someCompany()
    const after = await head()
    await fixture.append(company, ['order.placed'])
    const { lines, next } = await feed.read(shard, { after, waitMs: 10_000, signal })
    expect(parsed(lines)).toEqual([
      {
        specversion: '1.0',
        id: `${company}:0`,
        source: `/ledgerway/test/${company}`,
        type: 'order.placed',
        subject: 's',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        datacontenttype: 'application/json',
        feedcursor: next,
        position: 0,
        streamversion: 1,
        recordsource: 'test',
        leaf: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/),
        data: { of: 'order.placed' },
      },
    ])
  })

  test('waits for what comes, and answers with nothing when the wait is over', async () => {
    const company = someCompany()
    const after = await head()
    expect(await feed.read(shard, { after, waitMs: 30, signal })).toEqual({ lines: [], next: after })
    const waiting = feed.read(shard, { after, waitMs: 20_000, signal })
    await fixture.append(company, ['late'])
    expect(parsed((await waiting).lines)).toMatchObject([{ id: `${company}:0` }])
  })

  test('goes on from any event, also in the middle of one large append, without gap or repetition', async () => {
    const [one, two] = [someCompany(), someCompany()]
    let after = await head()
    await fixture.append(
      one,
      Array.from({ length: 450 }, () => 'a'),
    )
    await eventually(async () => expect(await head()).not.toBe(after))
    await fixture.append(two, ['b'])
    const seen: string[] = []
    while (seen.length < 451) {
      const { lines } = await feed.read(shard, { after, limit: 97, waitMs: 10_000, signal })
      expect(lines.length).toBeLessThanOrEqual(97)
      // A reader that crashed after the first half of what it was given.
      const handled = parsed(lines).slice(0, Math.ceil(lines.length / 2))
      seen.push(...handled.map((event) => event.id))
      after = handled.at(-1)!.feedcursor
    }
    expect(seen).toEqual([...idsOf(one, 0, 450), `${two}:0`])
  })

  test('refuses a cursor behind more records than its row holds, and skips nothing for it', async () => {
    const after = await head()
    const [one, two] = [someCompany(), someCompany()]
    await fixture.append(one, ['a', 'b'])
    await eventually(async () => expect(Number(await head())).toBe(Number(after) + 1))
    await fixture.append(two, ['c'])
    await eventually(async () => expect(Number(await head())).toBe(Number(after) + 2))
    const { lines } = await feed.read(shard, { after: `${after}.1`, signal })
    expect(parsed(lines).map(({ id }) => id)).toEqual([`${one}:1`, `${two}:0`])
    expect(await codeOf(feed.read(shard, { after: `${after}.2`, signal }))).toBe('INVALID_CURSOR')
    expect(await codeOf(feed.read(shard, { after: `${after}.5`, signal }))).toBe('INVALID_CURSOR')
  })

  test('refuses cursors that it did not give out, and says when they have become too old', async () => {
    for (const after of ['', 'x', '-1', '1.0', '01', '1e3', '999999999', `${await head()}.1`]) {
      expect(await codeOf(feed.read(shard, { after, signal }))).toBe('INVALID_CURSOR')
    }
    expect(await codeOf(feed.read(parseShardId('nowhere'), { after: '0', signal }))).toBe('NOT_FOUND')
    await fixture.append(someCompany(), ['a'])
    await eventually(async () => expect(Number(await head())).toBeGreaterThan(0))
    await fixture.store.onPrimary(
      shard,
      (sql) => sql`insert into feed_cursors (consumer, position) values ('none', 1000000)`,
    )
    await fixture.store.onPrimary(shard, (sql) => trimFeed(sql, { keepMs: 0, limit: 1_000 }))
    expect(await codeOf(feed.read(shard, { after: '0', signal }))).toBe('CURSOR_EXPIRED')
  })
})

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../core/json/canonical.ts'
import { commitment, headerText, leafOf, originOf, textHash, zeroHash, type RecordHeader } from '../../ledger/entry.ts'
import { unpack } from '../../ledger/pack.ts'
import { open } from '../../ledger/private/seal.ts'
import { createSubjectKeys } from '../../ledger/private/subject-keys.ts'
import { readHeads } from '../../ledger/read.ts'
import { verifyStored } from '../../ledger/verify-stored.ts'
import { createWorld, record, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

const nameText = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  // oxlint-disable-next-line no-control-regex
  .filter((text) => /^[^\u0000-\u001f\u007f]{1,200}$/u.test(text) && text.isWellFormed())
const payload = fc
  .dictionary(
    fc.string({ unit: 'grapheme' }),
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
    ),
    { noNullPrototype: true },
  )
  .filter((value) => {
    const text = JSON.stringify(value)
    return (
      !text.includes('\\u0000') &&
      !/\\ud[89a-f]/.test(text) &&
      Object.values(value).every((one) => typeof one !== 'number' || Math.abs(one) <= Number.MAX_SAFE_INTEGER)
    )
  }) as fc.Arbitrary<JsonObject>

test('SQL hashes exactly what entry.ts hashes, whatever the header, the data and the private part are', async () => {
  const companyId = await world.company()
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          source: nameText,
          stream: nameText,
          actor: fc.option(nameText),
          causation: fc.option(nameText),
          occurredAt: fc.option(fc.constant('2026-02-01T10:00:00+02:00')),
          data: payload,
          private: fc.option(fc.record({ subject: nameText, data: payload })),
        }),
        { minLength: 1, maxLength: 5 },
      ),
      async (inputs) => {
        const { records } = await world.ledger.append(companyId, {
          records: inputs.map((input) => record(input as Partial<ReturnType<typeof record>>)),
        })
        for (const [index, one] of records.entries()) {
          const input = inputs[index]!
          const header: RecordHeader = {
            kind: 'order.placed',
            source: input.source,
            stream: input.stream,
            version: one.version,
            recordedAt: one.recordedAt,
            actor: input.actor ?? undefined,
            causation: input.causation ?? undefined,
            occurredAt: input.occurredAt === null ? undefined : '2026-02-01T08:00:00.000Z',
          }
          expect(one.header).toBe(headerText(header))
          const [row] = await world.sql(
            companyId,
            (sql) => sql`select * from ledger_records where company_id = ${companyId} and position = ${one.position}`,
          )
          const text = row!['packed'] === null ? row!['data'] : unpack(row!['packed'])
          expect(text).toBe(one.data)
          const dataCommitment = commitment(row!['salt'], text)
          let privateCommitment = zeroHash
          if (input.private !== null) {
            const subjects = [{ companyId, subject: input.private.subject }]
            const [key] = await world.sql(companyId, (sql) => createSubjectKeys(world.wrappingKey).find(sql, subjects))
            const part = open(key!.key, row!['private'])
            privateCommitment = commitment(part.salt, part.text)
          }
          const leaf = leafOf({
            origin: originOf('test', companyId),
            position: one.position,
            previousLeaf: one.previousLeaf,
            headerHash: textHash(headerText(header)),
            dataCommitment,
            privateCommitment,
          })
          expect(one.leaf.equals(leaf)).toBe(true)
          expect(row!['leaf'].equals(leaf)).toBe(true)
        }
      },
    ),
    { numRuns: 40 },
  )
  expect((await verifyStored(world, companyId)).firstBreak).toBeNull()
})

test('any appends of any number of concurrent writers give contiguous positions and one chain', async () => {
  const companyId = await world.company()
  const writers = Array.from({ length: 12 }, async (_, writer) => {
    for (let i = 0; i < 5; i++) {
      const records = Array.from({ length: (writer % 3) + 1 }, () => record({ stream: `s/${(writer + i) % 4}` }))
      if (writer % 2 === 0) await world.ledger.append(companyId, { records })
      else await world.ledger.change(companyId, async () => ({ value: null, records }))
    }
  })
  await Promise.all(writers)
  const [head] = await world.sql(companyId, (sql) => readHeads(sql, [companyId]))
  expect(head?.size).toBe(1 + 12 * 5 * 2)
  const verified = await verifyStored(world, companyId)
  expect(verified).toEqual({ companyId, from: 0, until: head?.size, firstBreak: null })
})

describe('expected versions', () => {
  test('of concurrent appends that expect the same version exactly one wins, and its neighbours are not disturbed', async () => {
    const companyId = await world.company()
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        world.ledger.append(companyId, {
          expected: i % 2 === 0 ? [{ stream: 'race', version: 'none' }] : [{ stream: 'race', version: 'any' }],
          records: [record({ stream: i % 2 === 0 ? 'race' : 'calm' })],
        }),
      ),
    )
    const failed = results.filter((result) => result.status === 'rejected')
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(11)
    for (const { reason } of failed) {
      expect(reason).toMatchObject({ code: 'VERSION_CONFLICT', details: { stream: 'race', expected: 0, actual: 1 } })
    }
  })

  test('a conflict rolls back the whole change', async () => {
    const companyId = await world.company()
    const change = world.ledger.change(companyId, async (tx) => {
      await tx`update ledger_heads set published = true where company_id = ${companyId}`
      return { value: null, records: [record()], expected: [{ stream: 'order/1', version: 7 }] }
    })
    await expect(change).rejects.toMatchObject({ code: 'VERSION_CONFLICT' })
    const [head] = await world.sql(companyId, (sql) => readHeads(sql, [companyId]))
    expect(head).toMatchObject({ size: 1, published: false })
  })

  test('counts versions per stream whatever the source', async () => {
    const companyId = await world.company()
    const { records } = await world.ledger.append(companyId, {
      records: [record({ source: 'a' }), record({ stream: 'other' }), record({ source: 'b' })],
    })
    expect(records.map(({ version }) => version)).toEqual([1, 1, 2])
  })
})

describe('idempotency keys', () => {
  const big = { text: 'x'.repeat(20_000) }

  test('the same key with the same content answers with the first receipt', async () => {
    const companyId = await world.company()
    const input = {
      expected: [{ stream: 'order/1', version: 'none' as const }],
      records: [
        record({ key: 'a' }),
        record({ key: 'b', data: big }),
        record({ key: 'c', private: { subject: 'p', data: { name: 'Ada' } } }),
      ],
    }
    const first = await world.ledger.append(companyId, input)
    const second = await world.ledger.append(companyId, input)
    const plain = (records: typeof first.records) => records.map((one) => ({ ...one, duplicate: null }))
    expect(first.records.map(({ duplicate }) => duplicate)).toEqual([false, false, false])
    expect(second.records.map(({ duplicate }) => duplicate)).toEqual([true, true, true])
    expect(plain(second.records)).toEqual(plain(first.records))
  })

  test.each([
    ['data', { data: { amount: '13' } }],
    ['large data', { key: 'b', data: { text: 'y'.repeat(20_000) } }],
    ['private part', { key: 'c', private: { subject: 'p', data: { name: 'Eve' } } }],
    ['kind', { kind: 'order.changed' }],
    ['stream', { stream: 'order/2' }],
    ['time', { occurredAt: '2026-01-01T00:00:00Z' }],
  ])('the same key with other %s is a conflict', async (_, change) => {
    const companyId = await world.company()
    await world.ledger.append(companyId, {
      records: [
        record({ key: 'a' }),
        record({ key: 'b', data: big }),
        record({ key: 'c', private: { subject: 'p', data: { name: 'Ada' } } }),
      ],
    })
    await expect(world.ledger.append(companyId, { records: [record({ key: 'a', ...change })] })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
      details: { path: '$.records[0].key' },
    })
  })

  test('what is left of an interrupted import is appended, and what was there is not appended twice', async () => {
    const companyId = await world.company()
    await world.ledger.append(companyId, { records: [record({ key: 'a' }), record({ key: 'b' })] })
    const { records } = await world.ledger.append(companyId, {
      records: ['a', 'c', 'b', 'd'].map((key) => record({ key })),
    })
    expect(records.map(({ position, duplicate }) => [position, duplicate])).toEqual([
      [1, true],
      [3, false],
      [2, true],
      [4, false],
    ])
  })

  test('a repeated append that has records without keys repeats none of them', async () => {
    const companyId = await world.company()
    const records = [record({ key: 'a' }), record({ kind: 'order.noted' })]
    const first = await world.ledger.append(companyId, { records })
    const second = await world.ledger.append(companyId, { records })
    expect(second.records.map(({ id }) => id)).toEqual(first.records.map(({ id }) => id))
    const other = [record({ key: 'a' }), record({ kind: 'order.other' })]
    await expect(world.ledger.append(companyId, { records: other })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
    })
  })

  test('concurrent repetitions of one append are appended once', async () => {
    const companyId = await world.company()
    const appended = await Promise.all(
      Array.from({ length: 10 }, () => world.ledger.append(companyId, { records: [record({ key: 'once' })] })),
    )
    expect(new Set(appended.map(({ records }) => records[0]?.position))).toEqual(new Set([1]))
    expect(appended.filter(({ records }) => records[0]?.duplicate === false)).toHaveLength(1)
  })
})

describe('refuses', () => {
  test.each([
    ['a kind of the ledger itself', { kind: 'ledger.erased' }, 'BAD_USER_INPUT', '$.records[0].kind'],
    ["a kind of an agreement's other side", { kind: 'relationship.accepted' }, 'BAD_USER_INPUT', '$.records[0].kind'],
    ['a kind with a space', { kind: 'a b' }, 'BAD_USER_INPUT', '$.records[0].kind'],
    ['a line feed in a stream', { stream: 'a\nb' }, 'BAD_USER_INPUT', '$.records[0].stream'],
    ['half a surrogate pair in a source', { source: '\ud800' }, 'BAD_USER_INPUT', '$.records[0].source'],
    ['a key that is too long', { key: 'k'.repeat(201) }, 'BAD_USER_INPUT', '$.records[0].key'],
    ['a day that no month has', { occurredAt: '2026-02-30T00:00:00Z' }, 'BAD_USER_INPUT', '$.records[0].occurredAt'],
    ['data that is no object', { data: [] as never }, 'BAD_USER_INPUT', '$.records[0].data'],
    ['a number beyond 2^53', { data: { deep: [1e20] } }, 'JSON_NUMBER_PRECISION', '$.records[0].data.deep[0]'],
    ['data over the limit', { data: { x: 'x'.repeat(5e6) } }, 'PAYLOAD_TOO_LARGE', '$.records[0].data'],
  ])('%s, naming the place', async (_, change, code, path) => {
    const companyId = await world.company()
    await expect(world.ledger.append(companyId, { records: [record(change)] })).rejects.toMatchObject({
      code,
      details: { path },
    })
  })

  test('a payload, with the whole path in the words too', async () => {
    const companyId = await world.company()
    const records = [record(), record({ data: { deep: ['\0'] } })]
    await expect(world.ledger.append(companyId, { records })).rejects.toThrow('(at $.records[1].data.deep[0])')
  })

  test('an append to a ledger that does not exist, without making one', async () => {
    const companyId = 'nobody' as Awaited<ReturnType<World['company']>>
    await expect(world.ledger.append(companyId, { records: [record()] })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await world.sql(companyId, (sql) => readHeads(sql, [companyId]))).toEqual([])
  })

  test('lists that are too long, and no records at all', async () => {
    const companyId = await world.company()
    const records = Array.from({ length: 1001 }, () => record())
    await expect(world.ledger.append(companyId, { records })).rejects.toMatchObject({ code: 'LIST_TOO_LONG' })
    await expect(world.ledger.append(companyId, { records: [] })).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
  })

  test('the same key twice in one append', async () => {
    const companyId = await world.company()
    const records = [record({ key: 'a' }), record({ key: 'a' })]
    await expect(world.ledger.append(companyId, { records })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { path: '$.records[1].key' },
    })
  })
})

test('a ledger with too many waiting appends answers OVERLOADED, and those that wait succeed', async () => {
  await using small = await createWorld({ limits: { maxWaiting: 5, maxGroupRecords: 1 } })
  const companyId = await small.company()
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, () => small.ledger.append(companyId, { records: [record()] })),
  )
  const failed = results.filter((result) => result.status === 'rejected')
  expect(failed.length).toBeGreaterThan(0)
  for (const { reason } of failed) expect(reason).toMatchObject({ code: 'OVERLOADED' })
  const [head] = await small.sql(companyId, (sql) => readHeads(sql, [companyId]))
  expect(head?.size).toBe(1 + 20 - failed.length)
})

test('recorded times never decrease, even when the clock does', async () => {
  let now = Date.UTC(2030, 0, 1)
  await using clocked = await createWorld({ clock: { now: () => now } })
  const companyId = await clocked.company()
  now -= 60_000
  const { records } = await clocked.ledger.append(companyId, { records: [record()] })
  expect(records[0]?.recordedAt).toBe('2030-01-01T00:00:00.000Z')
  expect((await verifyStored(clocked, companyId)).firstBreak).toBeNull()
})

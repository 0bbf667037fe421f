import { describe, expect, test } from 'vitest'
import { type TestBundle } from '../bundle-generator.ts'
import { verifyBundle, forged, forgedLines } from './harness.ts'

describe('a lie that was hashed and signed truly is found all the same', () => {
  test.each<[string, TestBundle]>([
    ['a version left out', forged((r) => (r[3]!.header.version = 3))],
    ['a version twice', forged((r) => (r[3]!.header.version = 1))],
    ['a stream that begins with version 2', forged((r) => (r[9]!.header.version = 2))],
    ['version 0', forged((r) => (r[9]!.header.version = 0))],
    ['a version that is a text', forged((r) => (r[9]!.header.version = '1'))],
    ['a time that goes back', forged((r) => (r[8]!.header.recordedAt = '2026-11-21T08:00:00.000Z'))],
    ['a time without milliseconds', forged((r) => (r[9]!.header.recordedAt = '2026-11-21T08:00:09Z'))],
    ['a time with an offset', forged((r) => (r[9]!.header.recordedAt = '2026-11-21T08:00:09.000+00:00'))],
    ['the 30th of February', forged((r) => (r[1]!.header.occurredAt = '2024-02-30T00:00:00.000Z'))],
    ['the 29th of February 2026', forged((r) => (r[1]!.header.occurredAt = '2026-02-29T00:00:00.000Z'))],
    ['the hour 24', forged((r) => (r[1]!.header.occurredAt = '2024-02-28T24:00:00.000Z'))],
    ['a further header field', forged((r) => (r[1]!.header.mail = 'ada@x'))],
    ['a header without its source', forged((r) => delete r[1]!.header.source)],
    ['a header without its stream', forged((r) => delete r[1]!.header.stream)],
    ['a header without its time', forged((r) => delete r[1]!.header.recordedAt)],
    ['a header without its version', forged((r) => delete r[1]!.header.version)],
    ['an actor that is null', forged((r) => (r[1]!.header.actor = null))],
    ['a kind that is a number', forged((r) => (r[1]!.header.kind = 7))],
    ['a lone surrogate in the header', forged((r) => (r[1]!.header.actor = '\ud800'))],
    ['U+0000 in the data', forged((r) => (r[1]!.data = { a: '\0' }))],
    ['U+0000 in the private part', forged((r) => (r[3]!.private = { a: '\0' }))],
    ['an integer beyond 2^53', forged((r) => (r[1]!.data = { a: 2 ** 53 }))],
    ['data 65 deep', forged((r) => (r[1]!.data = JSON.parse(`${'{"a":'.repeat(64)}{}${'}'.repeat(64)}`)))],
    ['data that is an array', forged((r) => (r[1]!.data = [] as never))],
    ['data that is null', forged((r) => (r[1]!.data = null as never))],
  ])('%s', async (_, bundle) => {
    expect((await verifyBundle(bundle)).code).toBe(1)
  })

  test.each([
    '{"b":1,"a":2}',
    '{"a":1,"a":2}',
    '{"a": 1}',
    '{"a":1.0}',
    '{"a":1e2}',
    '{"a":-0}',
    '{"a":1e20}',
    '{"a":"\\u0061"}',
    '{"a":"\\/"}',
    '{"a":"\\u000A"}',
    '{"a":"\\ud800"}',
    '{"9":1,"10":2}',
    '{"a":{"c":1,"b":2}}',
    '{"a":0.1234567890123456789}',
    '{} ',
    '{',
    '',
  ])('data that is not canonical, hashed as it stands: %s', async (text) => {
    const { sha256 } = await import('../bundle-generator.ts')
    for (const part of ['data', 'private'] as const) {
      const bundle = forgedLines((list) => {
        const line = list[3]!
        line[part] = text
        const salt = Buffer.from((part === 'data' ? line.salt : line.privateSalt) ?? '', 'base64')
        line[part === 'data' ? 'dataCommitment' : 'privateCommitment'] = sha256(salt, text).toString('base64')
      })
      expect((await verifyBundle(bundle)).code).toBe(1)
    }
    const bundle = forgedLines((list) => (list[9]!.header = text))
    expect((await verifyBundle(bundle)).code).toBe(1)
  })

  test('keys that look like integers are canonical in the order of text', async () => {
    const bundle = forged((r) => (r[1]!.data = { '10': 1, '9': { '100': 1, '20': 2 }, a: 1 }))
    expect(bundle.lines[1]!.data).toBe('{"10":1,"9":{"100":1,"20":2},"a":1}')
    expect((await verifyBundle(bundle)).code).toBe(0)
  })

  test('a commitment of zeros stands for no private part and is written as null', async () => {
    const bundle = forgedLines((list) => (list[0]!.privateCommitment = Buffer.alloc(32).toString('base64')), {
      withPrivate: false,
    })
    expect((await verifyBundle(bundle)).code).toBe(1)
  })
})

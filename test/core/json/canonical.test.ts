import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, canonicalPayload } from '../../../core/json/canonical.ts'
import vectors from '../../vectors/jcs-rfc8785.json' with { type: 'json' }

function fromIeee(hex: string): number {
  return Buffer.from(hex, 'hex').readDoubleBE()
}

function thrown(fn: () => unknown): unknown {
  try {
    return fn()
  } catch (error) {
    return error
  }
}

describe('the published vectors of RFC 8785', () => {
  test.each(vectors.documents)('document $name', ({ input, outputUtf8Hex }) => {
    expect(Buffer.from(canonicalJson(JSON.parse(input))).toString('hex')).toBe(outputUtf8Hex)
  })

  test('the numbers of appendix B and the sample of the number sequence', () => {
    for (const { ieee, json } of [...vectors.appendixBNumbers, ...vectors.numberSequence.sample]) {
      expect(canonicalJson(fromIeee(ieee))).toBe(json)
    }
  })

  test('the first 1,000 numbers of the sequence have the published checksum', () => {
    const published = vectors.numberSequence.published.find(({ lines }) => lines === 1000)
    const lines = vectors.numberSequence.sample.slice(0, 1000).map(({ ieee }) => {
      const trimmed = ieee.replace(/^0+(?=.)/, '')
      return `${trimmed},${canonicalJson(fromIeee(ieee))}\n`
    })
    expect(createHash('sha256').update(lines.join('')).digest('hex')).toBe(published?.sha256)
  })

  test.each(vectors.mustReject)('$ieee ($why) is refused', ({ ieee }) => {
    expect(thrown(() => canonicalJson(fromIeee(ieee)))).toMatchObject({ code: 'JSON_NUMBER_PRECISION' })
  })

  test.each(vectors.mustRejectStrings)('$utf16Hex ($why) is refused', ({ utf16Hex }) => {
    const text = String.fromCharCode(Number.parseInt(utf16Hex, 16))
    expect(thrown(() => canonicalJson(text))).toMatchObject({ code: 'JSON_LONE_SURROGATE' })
    expect(thrown(() => canonicalJson({ [text]: 1 }))).toMatchObject({ code: 'JSON_LONE_SURROGATE' })
  })
})

test.each<[string, unknown, string, string]>([
  ['undefined', { a: undefined }, 'JSON_SYNTAX', '$.a'],
  ['a hole in an array', { a: Array.from({ length: 1 }) }, 'JSON_SYNTAX', '$.a[0]'],
  ['a bigint', { a: 1n }, 'JSON_SYNTAX', '$.a'],
  ['a function', { a: () => 1 }, 'JSON_SYNTAX', '$.a'],
  ['a Date', { a: new Date(0) }, 'JSON_SYNTAX', '$.a'],
  ['NaN', { a: [Number.NaN] }, 'JSON_NUMBER_PRECISION', '$.a[0]'],
  ['an integer beyond 2^53', { a: 2 ** 53 }, 'JSON_NUMBER_PRECISION', '$.a'],
  ['U+0000', { a: 'x\0' }, 'JSON_NUL_CHARACTER', '$.a'],
  ['U+0000 in a key', { a: { 'x\0': 1 } }, 'JSON_NUL_CHARACTER', '$.a["x\\u0000"]'],
  ['a lone surrogate', { a: 'x\udc00' }, 'JSON_LONE_SURROGATE', '$.a'],
  ['an array', [1], 'BAD_USER_INPUT', '$'],
])('%s is no ledger payload', (_, value, code, path) => {
  expect(thrown(() => canonicalPayload(value))).toMatchObject({ code, details: { path } })
})

test('a payload may be 64 deep and as large as the limit in bytes, and no more', () => {
  const nested = (depth: number): unknown => (depth === 1 ? {} : { a: nested(depth - 1) })
  expect(canonicalPayload(nested(64))).toHaveLength(64 * 2 + 63 * 4)
  expect(thrown(() => canonicalPayload(nested(65)))).toMatchObject({ code: 'JSON_TOO_DEEP' })
  const limits = { maxBytes: 14, maxDepth: 64 }
  expect(canonicalPayload({ a: 'ééé' }, limits)).toBe('{"a":"ééé"}')
  expect(thrown(() => canonicalPayload({ a: 'éééé' }, limits))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
})

test('minus zero is written as zero', () => {
  expect(canonicalPayload({ a: -0 })).toBe('{"a":0}')
})

test('canonical text is stable: parsed and written again it is the same', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = canonicalJson(value)
      expect(canonicalJson(JSON.parse(text))).toBe(text)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test('a payload is written as any other JSON is, whatever its keys are like', () => {
  const key = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.nat(30).map(String), fc.constant('__proto__'))
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      tie('list'),
      tie('object'),
    ),
    list: fc.array(tie('value'), { maxLength: 4 }),
    object: fc.uniqueArray(fc.tuple(key, tie('value')), { maxLength: 5, selector: ([name]) => name }).map((entries) => {
      const object: Record<string, unknown> = {}
      for (const [name, value] of entries) Object.defineProperty(object, name, { value, enumerable: true })
      return object
    }),
  }))
  fc.assert(
    fc.property(tree.object, (value) => {
      const before = JSON.stringify(value)
      const text = thrown(() => canonicalPayload(value))
      const expected = thrown(() => canonicalJson(value))
      // What differs are only the ledger's further rules: here, U+0000.
      expect(before.includes('\\u0000') ? 'refused' : text).toEqual(before.includes('\\u0000') ? 'refused' : expected)
      expect(JSON.stringify(value)).toBe(before)
    }),
    { numRuns: 1000 },
  )
})

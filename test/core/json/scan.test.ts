import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isAppError } from '../../../core/errors.ts'
import { canonicalJson } from '../../../core/json/canonical.ts'
import { numberSurvives } from '../../../core/json/number.ts'
import { parseJson, scanJson, scanJsonText } from '../../../core/json/scan.ts'

function refusal(input: string | Uint8Array, limits = { maxBytes: 1_000_000, maxDepth: 64 }): unknown {
  try {
    if (typeof input === 'string') scanJsonText(input, limits)
    else scanJson(input, limits)
    return 'accepted'
  } catch (error) {
    if (isAppError(error)) return `${error.code} ${String(error.details.path)}`
    throw error
  }
}

const nested = (depth: number): string => `${'['.repeat(depth - 1)}{}${']'.repeat(depth - 1)}`

describe('what parsing would lose is refused with its place', () => {
  test.each([
    ['{"a":1,"a":2}', 'JSON_DUPLICATE_KEY $.a'],
    ['{"a":1,"\\u0061":2}', 'JSON_DUPLICATE_KEY $.a'],
    ['{"\\u00e9":1,"é":2}', 'JSON_DUPLICATE_KEY $["é"]'],
    ['{"\\ud83d\\ude00":1,"😀":2}', 'JSON_DUPLICATE_KEY $["😀"]'],
    ['[1,{"b":{"x y":[],"c":0,"x y":1}}]', 'JSON_DUPLICATE_KEY $[1].b["x y"]'],
    ['{"":1,"":2}', 'JSON_DUPLICATE_KEY $[""]'],
    ['{"__proto__":1,"__proto__":2}', 'JSON_DUPLICATE_KEY $.__proto__'],
    ['{"a":"\\ud800"}', 'JSON_LONE_SURROGATE $.a'],
    ['{"a":["\\udead"]}', 'JSON_LONE_SURROGATE $.a[0]'],
    ['{"a":"\\ud83d\\ud83d"}', 'JSON_LONE_SURROGATE $.a'],
    ['{"a":"\\ud83dx"}', 'JSON_LONE_SURROGATE $.a'],
    ['{"b":1,"\\ud800":1}', 'JSON_LONE_SURROGATE $'],
    ['{"a":"\ud800"}', 'JSON_LONE_SURROGATE $.a'],
    ['{"a":"x\udc00\ud800"}', 'JSON_LONE_SURROGATE $.a'],
    ['{"a":"\\u0000"}', 'JSON_NUL_CHARACTER $.a'],
    ['{"\\u0000":1}', 'JSON_NUL_CHARACTER $'],
    ['{"a":9007199254740993}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":9007199254740992}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":-9007199254740992}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":9007199254740992.0}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":1e20}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":0.00001e300}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":1e400}', 'JSON_NUMBER_PRECISION $.a'],
    ['[0,-1e400]', 'JSON_NUMBER_PRECISION $[1]'],
    ['{"a":1e-400}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":0.1234567890123456789}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":333333333.33333329}', 'JSON_NUMBER_PRECISION $.a'],
    ['{"a":9007199254740991.5}', 'JSON_NUMBER_PRECISION $.a'],
    [nested(65), `JSON_TOO_DEEP $${'[0]'.repeat(64)}`],
    [`{"a":${'{"a":'.repeat(64)}1${'}'.repeat(65)}`, `JSON_TOO_DEEP $${'.a'.repeat(64)}`],
  ])('%s', (text, expected) => expect(refusal(text)).toBe(expected))

  test('a text that is too large, not UTF-8 or begins with a byte order mark has its own code', () => {
    expect(refusal('{"a":"12345"}', { maxBytes: 12, maxDepth: 64 })).toBe('PAYLOAD_TOO_LARGE $')
    expect(refusal('{"a":"12345"}', { maxBytes: 13, maxDepth: 64 })).toBe('accepted')
    expect(refusal(Uint8Array.of(0x22, 0xff, 0x22))).toBe('JSON_INVALID_UTF8 $')
    expect(refusal(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22))).toBe('JSON_INVALID_UTF8 $')
    expect(refusal('\ufeff{}')).toBe('JSON_BYTE_ORDER_MARK $')
  })

  test('a duplicate among hundreds of keys is found, however it is written', () => {
    const keys = Array.from({ length: 400 }, (_, i) => `"key${i}":${i}`)
    expect(refusal(`{${keys.join(',')}}`)).toBe('accepted')
    expect(refusal(`{${keys.join(',')},"\\u006bey7":1}`)).toBe('JSON_DUPLICATE_KEY $.key7')
  })

  test('the same key in neighbouring and nested objects is no duplicate', () => {
    expect(refusal('[{"a":{"a":{"a":1},"b":2},"b":[{"a":1},{"a":1}]},{"a":1}]')).toBe('accepted')
  })
})

test.each([
  '{}',
  ' [ ] ',
  '"a"',
  '0',
  '-0',
  '-0.0',
  '0e999999999999',
  'null',
  '0.1',
  '0.10',
  '1.0',
  '1e2',
  '1E+2',
  '5e-324',
  '9007199254740991',
  '-9007199254740991.00',
  '90071992547409910e-1',
  '0.30000000000000004',
  '"\\ud83d\\ude00 \\" \\\\ \\/ \\b\\f\\n\\r\\t \\u0001 \u007f é 😀"',
  nested(64),
])('%s loses nothing and is accepted', (text) => {
  expect(refusal(text)).toBe('accepted')
})

test.each([
  '',
  ' ',
  '{',
  '[',
  '"',
  '"a',
  '{"a"',
  '{"a":',
  '{"a":1',
  '{"a":1,',
  '{"a":1,}',
  '[1,]',
  '[,1]',
  '{,}',
  '{"a" 1}',
  '{a:1}',
  "{'a':1}",
  '01',
  '-',
  '+1',
  '1.',
  '.5',
  '1e',
  '1e+',
  '0x10',
  'NaN',
  'Infinity',
  'tru',
  'nul',
  'truefalse',
  '1 2',
  '[1 2]',
  '[1]]',
  '{}}',
  '[}',
  '{]',
  '"\n"',
  '"\\x"',
  '"\\u12"',
  '"\\u12g4"',
  '"\\',
  '[1]x',
  '//',
  '{"a":1 "b":2}',
  '\u00a01',
  'undefined',
])('%j is not JSON', (text) => {
  expect(() => JSON.parse(text)).toThrow(SyntaxError)
  expect(refusal(text)).toMatch(/^JSON_SYNTAX /)
})

test('every document that JSON.stringify writes is accepted and read back the same', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      const limits = { maxBytes: 1_000_000, maxDepth: 64 }
      const outcome = refusal(text, limits)
      // Doubles beyond 2^53 are the one thing that JSON.stringify may write and the rules refuse.
      const intact =
        outcome === 'accepted'
          ? canonicalJson(parseJson(Buffer.from(text), limits)) === canonicalJson(value)
          : String(outcome).startsWith('JSON_NUMBER_PRECISION')
      expect(intact).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test('the scanner and JSON.parse agree on what is JSON, for texts cut and changed at random', () => {
  const seed = '{"a":[1,-2.5e3,"x\\u0041\\n",true,null,{"b":{}}], "c" : "é😀" ,"d":[[],[0]]}'
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.nat(seed.length),
          fc.nat(2),
          fc.constantFrom(...Array.from('{}[]:,"\\/u0123456789abcdefntrlse.+-E \n')),
        ),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
      (changes) => {
        let text = seed
        for (const [at, removed, inserted] of changes) text = text.slice(0, at) + inserted + text.slice(at + removed)
        let parses = true
        try {
          JSON.parse(text)
        } catch {
          parses = false
        }
        const outcome = String(refusal(text))
        expect(parses ? !outcome.startsWith('JSON_SYNTAX') : outcome !== 'accepted').toBe(true)
      },
    ),
    { numRuns: 3000 },
  )
})

test('a decimal survives exactly if it is the value of the shortest decimal of its double', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: 1, max: 9e15 }), (value) => {
      expect(numberSurvives(String(value))).toBe(true)
      expect(numberSurvives(String(-1 / value))).toBe(true)
      expect(refusal(`${value.toFixed(20)}1`)).toBe('JSON_NUMBER_PRECISION $')
    }),
  )
})

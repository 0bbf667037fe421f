import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkCanonical } from '../../../core/json/canonical-check.ts'
import { canonicalPayload } from '../../../core/json/canonical.ts'
import { isAppError } from '../../../core/errors.ts'

function isCanonical(text: string): boolean {
  try {
    checkCanonical(text)
    return true
  } catch (error) {
    if (isAppError(error)) return false
    throw error
  }
}

/** The definition: parsed and written again, it is the same text. */
function isItsOwnCanonicalText(text: string): boolean {
  try {
    return canonicalPayload(JSON.parse(text)) === text
  } catch {
    return false
  }
}

test('what the writer writes is canonical, and a payload that it refuses is not', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' })),
      (value) => {
        const text = JSON.stringify(value)
        const canonical = isItsOwnCanonicalText(text) ? text : JSON.stringify({})
        expect(isCanonical(canonical)).toBe(true)
        expect(isCanonical(text)).toBe(isItsOwnCanonicalText(text))
      },
    ),
    { numRuns: 1000 },
  )
})

test('a text changed at random is canonical exactly if writing it again gives the same text', () => {
  const seed = '{"":-0.5,"a":[1,2.5e-7,"x\\n\\u0001😀",true,null],"b":{"aa":{},"ab":[]},"c":false,"é":"z"}'
  expect(isCanonical(seed)).toBe(true)
  const units = Array.from('{}[]:,"\\/u0123456789abcdefnt.+-E \u0001\ud800\udc00')
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(seed.length), fc.nat(2), fc.constantFrom('', ...units)), { minLength: 1, maxLength: 3 }),
      (changes) => {
        let text = seed
        for (const [at, removed, inserted] of changes) text = text.slice(0, at) + inserted + text.slice(at + removed)
        expect([text, isCanonical(text)]).toEqual([text, isItsOwnCanonicalText(text)])
      },
    ),
    { numRuns: 5000 },
  )
})

test.each([
  '{"10":1,"9":2}',
  '{"\\n":1,"a":{"\\"":1,"b":2}}',
  '{"a":0,"aa":0,"b":0}',
  '{"\ue000":1,"\uffff":2}',
  '{"😀":1,"\uffff":2}',
  '{"a":"\\b\\t\\n\\f\\r\\u000b\\u001f\u007f\u2028"}',
  '{"a":9007199254740991,"b":-123456789012345,"c":1e-7,"d":0.1}',
])('%s is canonical', (text) => expect(isCanonical(text)).toBe(true))

test.each([
  '{"\uffff":1,"😀":2}',
  '{"a":1,"a":1}',
  '{"b":1,"a":1}',
  '{"aa":1,"a":1}',
  '{"a":1,}',
  '{,}',
  '{"a":[,1]}',
  '{"a":[1,]}',
  '{"a":01}',
  '{"a":-0}',
  '{"a":1.50}',
  '{"a":1E5}',
  '{"a":9007199254740992}',
  '{"a":1e21}',
  '{"a":"\\u000A"}',
  '{"a":"\\u0000"}',
  '{"a":"\\u001F"}',
  '{"a":"\\u0062"}',
  '{"a":"\\u0008"}',
  '{"a":"\\/"}',
  '{"a":truefalse}',
  '{"a":tru}',
  '{}{}',
  '{} ',
  '[]',
  'null',
  '',
  `${'{"a":'.repeat(64)}{}${'}'.repeat(64)}`,
])('%s is not', (text) => expect(isCanonical(text)).toBe(false))

test('a lone surrogate behind a backslash is no escape', () => {
  expect(isCanonical('{"a":"\\\udc00u0001"}')).toBe(false)
  expect(isCanonical('{"a":"\\\\\udc00"}')).toBe(false)
})

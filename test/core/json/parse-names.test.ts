import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkCanonical } from '../../../core/json/canonical-check.ts'
import { parseJsonText } from '../../../core/json/parse-names.ts'
import { parseJson } from '../../../core/json/scan.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

test('a name with an escape is read as it is, whatever names came before it in its place', () => {
  expect(Object.keys(parseJson(bytes('{"id":1,"\\\\":2}')) as object)).toEqual(['id', '\\'])
  for (const name of ['\n', '\t', '"', '\u0001', '\\n', 'ä\n', '\\\\']) {
    const text = JSON.stringify({ id: 1, [name]: 2 })
    expect(Object.keys(parseJson(bytes(text)) as object)).toEqual(['id', name])
    const canonical = name < 'id' ? JSON.stringify({ [name]: 2, id: 1 }) : text
    expect(() => checkCanonical(canonical)).not.toThrow()
  }
})

test('beside such a name everything else is read as JSON says', () => {
  const text =
    ' { "a\\nb" : [ ] , "x":[1,-2.5e3 ,true,null,"q\\"]}",{ } ],"o":{"__proto__":{"y":1},"\\u0061":"\\u00e4"} } '
  const parsed = parseJson(bytes(text)) as Record<string, Record<string, unknown>>
  expect(parsed).toEqual({ 'a\nb': [], x: [1, -2500, true, null, 'q"]}', {}], o: parsed['o'] })
  expect(Object.entries(parsed['o'] ?? {})).toEqual([
    ['__proto__', { y: 1 }],
    ['a', 'ä'],
  ])
  expect(Object.getPrototypeOf(parsed['o'])).toBe(Object.prototype)
})

test('texts in which others chose the names come back as they went, and what is not JSON is refused', () => {
  const awkward = fc.stringMatching(/^[\\"\n\ta:,{}[\] ]{0,4}$/)
  const name = fc.oneof(awkward, fc.string())
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, fc.boolean(), fc.integer(), name, fc.array(tie('value')), tie('object')),
    object: fc.dictionary(name, tie('value'), { noNullPrototype: true }),
  }))
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2), (given, indent) => {
      expect(JSON.stringify(parseJsonText(JSON.stringify(given, null, indent)))).toBe(JSON.stringify(given))
    }),
    { numRuns: 500 },
  )
  for (const text of ['', '{"a\\n":', '{"a\\', '"\\', '{"a\\n":1}}'])
    expect(() => parseJsonText(text)).toThrow(SyntaxError)
})

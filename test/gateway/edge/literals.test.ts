import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, startEdge } from './harness.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge[Symbol.asyncDispose]())

describe('JSON as a literal and as a variable', () => {
  const deep = (open: string, close: string): string => `${open.repeat(79)}${close.repeat(79)}`

  test.each<[string, { literal: string; json: string; at: string; code: string }]>([
    [
      'a repeated key',
      { literal: '{a: [{n: 1, n: 2}]}', json: '{"a":[{"n":1,"n":2}]}', at: '.a[0].n', code: 'JSON_DUPLICATE_KEY' },
    ],
    [
      'a lone surrogate',
      {
        literal: String.raw`{a: ["\\", "\uD83D\uDE00", "x\uD800y"]}`,
        json: String.raw`{"a":["","","x\ud800y"]}`,
        at: '.a[2]',
        code: 'JSON_LONE_SURROGATE',
      },
    ],
    [
      'a lone surrogate in braces',
      { literal: String.raw`{a: "\u{DC00}"}`, json: String.raw`{"a":"\udc00"}`, at: '.a', code: 'JSON_LONE_SURROGATE' },
    ],
    [
      'U+0000',
      {
        literal: String.raw`[1, {b: "\u0000"}]`,
        json: String.raw`[1,{"b":"\u0000"}]`,
        at: '[1].b',
        code: 'JSON_NUL_CHARACTER',
      },
    ],
    [
      'a rounded number',
      { literal: '{a: 9007199254740993}', json: '{"a":9007199254740993}', at: '.a', code: 'JSON_NUMBER_PRECISION' },
    ],
    ['too many lists', { literal: deep('[', ']'), json: deep('[', ']'), at: '[0]'.repeat(78), code: 'JSON_TOO_DEEP' }],
  ])('%s is refused by the same code, path and words', async (_name, { literal, json, at, code }) => {
    const written = await edge.post({ query: `{ echo(value: ${literal}) }` })
    const sent = await edge.post(
      `{"query":"query($value: JSON!) { echo(value: $value) }","variables":{"value":${json}}}`,
    )
    const asDefault = await edge.post({ query: `query($value: JSON! = ${literal}) { echo(value: $value) }` })
    for (const [{ status, body }, root] of [
      [written, '$.value'],
      [sent, '$.variables.value'],
      [asDefault, '$.variables.value'],
    ] as const) {
      expect(status).toBe(400)
      expect(body.errors?.[0]?.extensions).toMatchObject({ code, path: root + at })
    }
    const words = ({ body }: typeof sent): string | undefined =>
      body.errors?.[0]?.message.replace('$.variables', '$').replace(/, (?:byte|line) \d+|\d+ (?=deep)/g, '')
    expect(words(written)).toBe(words(sent))
    expect(words(written)).toMatch(/; (?:keep|send|leave|nest) /)
  })

  test.each([
    'query { echo(value: {a: [1, {b: FOO}], c: null}) }',
    'query { echo(value: [FOO, {}]) }',
    'query { echo(value: FOO) }',
    'query($value: JSON = {a: {}, b: FOO}) { echo(value: $value) }',
  ])('an enum value is refused, and not taken for a string: %s', async (query) => {
    const { status, body } = await edge.post({ query })
    expect(status).toBe(400)
    expect(body.errors).toMatchObject([
      {
        message: 'JSON has no enum values: write "FOO" as a string.',
        extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
      },
    ])
    const written = await edge.post({ query: query.replaceAll('FOO', '"FOO"') })
    expect(written.status).toBe(200)
  })

  test('an escape that is none, or a broken one beside a surrogate, is a syntax error still', async () => {
    for (const literal of [String.raw`"\uZZZZ"`, String.raw`["""\uD800""", "\uZZZZ"]`]) {
      const { status, body } = await edge.post({ query: `{ echo(value: ${literal}) }` })
      expect([status, body.errors?.[0]?.extensions['code']]).toEqual([400, 'GRAPHQL_PARSE_FAILED'])
    }
    const block = await edge.post({ query: String.raw`{ echo(value: """\uD800""") }` })
    expect(block.body.data).toEqual({ echo: String.raw`\uD800` })
  })
})

test('lists inside each other in a literal are planned once each, not once for every way to them', async () => {
  const depth = 60
  const { body } = await edge.post({ query: `{ echo(value: ${'['.repeat(depth)}1${']'.repeat(depth)}) }` })
  expect(JSON.stringify(body.data)).toBe(`{"echo":${'['.repeat(depth)}1${']'.repeat(depth)}}`)
})

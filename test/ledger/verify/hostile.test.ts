import { constants, gunzipSync, gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bundleOf, checkpointOf, lineOf, testKey, textOf } from '../bundle-generator.ts'
import { file, forged, good, header, key, lines, origin, pinned, run, verify, verifyBundle } from './harness.ts'

/** Files as an adversary makes them. Whatever comes, the answer is an exit code and never an exception. */
const text = textOf(good())

test('a gzip that is cut off anywhere is invalid', async () => {
  const zipped = gzipSync(text)
  for (let length = 0; length < zipped.length; length += 7) {
    const { code, out } = await verify(zipped.subarray(0, length))
    expect(code, `${length} of ${zipped.length} bytes\n${out}`).toBe(1)
  }
})

test('a gzip with any bit of its data changed is invalid, unless it says the same', async () => {
  const zipped = gzipSync(text)
  // The bits that fill up the last byte before the checksum are nobody's, as are the lengths of codes that do not occur.
  const saysTheSame = (bytes: Buffer) => {
    try {
      return gunzipSync(bytes).equals(Buffer.from(text))
    } catch {
      return false
    }
  }
  // The header's time, flags for extra speed and system say nothing about the content.
  for (let at = 10; at < zipped.length; at += 5) {
    const altered = Buffer.from(zipped)
    altered[at]! ^= 1 << (at % 8)
    expect((await verify(altered)).code === 0, `byte ${at}`).toBe(saysTheSame(altered))
  }
})

test('a plain file that is cut off anywhere but before its last newline is invalid', async () => {
  const bytes = Buffer.from(text)
  for (let length = 0; length < bytes.length - 1; length += 41) {
    expect((await verify(bytes.subarray(0, length))).code, `${length} bytes`).toBe(1)
  }
})

test('line ends of other systems are white space; a mark of byte order is none, in gzip neither', async () => {
  expect((await verify(text.replaceAll('\n', '\r\n'))).code).toBe(0)
  for (const broken of [
    `\ufeff${text}`,
    text.replace('\n', '\n\ufeff'),
    text.replaceAll('\n', '\u2028'),
    text.replaceAll('\n', '\u0085\n'),
    text.replaceAll('\n', '\n\n'),
    `\n${text}`,
    `${text}\0`,
    Buffer.from(text, 'utf16le'),
  ]) {
    expect((await verify(broken)).code).toBe(1)
    expect((await verify(gzipSync(broken))).code).toBe(1)
  }
})

test('line separators of Unicode inside of texts are text', async () => {
  const bundle = forged((r) => {
    r[1]!.data = { 'a\u2028b': 'c\u2029d\u0085e\u007f' }
    r[1]!.header = header(1, 'b\u2028', 1)
    r[3]!.header = header(3, 'b\u2028', 2)
    r[5]!.header = header(5, 'b\u2028', 3)
  })
  expect((await verifyBundle(bundle)).code).toBe(0)
})

describe('lines that are very long', () => {
  test('are read where they are records', async () => {
    const bundle = forged((r) => (r[1]!.data = { text: 'x'.repeat(20_000_000) }))
    expect((await verifyBundle(bundle)).code).toBe(0)
  })

  test('do not fill the memory where they never end', async () => {
    const endless = gzipSync(Buffer.concat([Buffer.from(text), Buffer.alloc(300 * 1024 * 1024, ' ')]), {
      level: constants.Z_BEST_SPEED,
    })
    const { code, out } = await verify(endless)
    expect(code).toBe(1)
    expect(out).toContain('a line is longer than')
  })
})

test.each<[string, (line: string) => string]>([
  ['base64 in its other alphabet', (l) => l.replaceAll('+', '-').replaceAll('/', '_')],
  ['base64 without its padding', (l) => l.replaceAll('="', '"')],
  ['base64 with bits to spare that are not zero', (l) => l.replaceAll(/[AEIMQUYcgkosw048]="/g, 'B="')],
  ['base64 with a line break', (l) => l.replaceAll('="', '=\\n"')],
  ['a header with spaces', (l) => l.replace('{\\"kind', '{ \\"kind')],
  ['a header in another order', (l) => l.replace(/(\\"kind\\":\\"[^"]*\\"),(.*?)(,\\"version)/, '$2,$1$3')],
  ['a position as text', (l) => l.replace(/"position":(\d+)/, '"position":"$1"')],
  ['a position beyond what is exact', (l) => l.replace(/"position":\d+/, '"position":9007199254740993')],
  ['a null field left out', (l) => l.replace(/,"privateSalt":null|,"privateCommitment":"[^"]*"/, '')],
  ['a field __proto__', (l) => l.replace('{', '{"__proto__":null,')],
  ['a comment', (l) => `${l} // fine`],
  ['two values', (l) => `${l} {}`],
  ['a trailing comma', (l) => l.replace(/}$/, ',}')],
])('%s in a record is invalid', async (_, change) => {
  const all = text.trimEnd().split('\n')
  let changed = 0
  for (const [at, line] of all.entries()) {
    if (at === 0 || change(line) === line) continue
    changed++
    expect((await verify(`${all.with(at, change(line)).join('\n')}\n`)).code).toBe(1)
  }
  expect(changed).toBeGreaterThan(0)
})

test.each<[string, string]>([
  ['a day that its month does not have', '2026-02-30T00:00:00.000Z'],
  ['the 29th of February of no leap year', '2026-02-29T00:00:00.000Z'],
  ['a second of 60', '2026-11-21T08:00:60.000Z'],
  ['hour 24', '2026-11-21T24:00:00.000Z'],
  ['an offset', '2026-11-21T08:00:00.000+00:00'],
  ['no milliseconds', '2026-11-21T08:00:00Z'],
  ['microseconds', '2026-11-21T08:00:00.000000Z'],
  ['small letters', '2026-11-21t08:00:00.000z'],
  ['a year of five digits', '+12026-11-21T08:00:00.000Z'],
  ['other digits', '２026-11-21T08:00:00.000Z'],
])('a time with %s is invalid, signed truly or not', async (_, time) => {
  expect((await verifyBundle(forged((r) => (r[1]!.header['occurredAt'] = time)))).code).toBe(1)
  expect((await verifyBundle(forged((r) => (r[9]!.header['recordedAt'] = time)))).code).toBe(1)
})

test('versions are counted by stream, whatever the source', async () => {
  const sources = (first: number, second: number) =>
    forged((r) => {
      r[1]!.header = header(1, 'b', first, { source: 'one' })
      r[3]!.header = header(3, 'b', second, { source: 'two' })
    })
  expect((await verifyBundle(sources(1, 2))).code).toBe(0)
  expect((await verifyBundle(sources(1, 1))).code).toBe(1)
})

test('whose bundle it is comes before whether its first line is well-formed', async () => {
  const foreign = textOf(bundleOf(origin, lines(), testKey()))
  expect((await verify(foreign.replace('{', '{"note":1,'))).code).toBe(4)
  expect((await verify(foreign.replace('"private":true', '"private":1'))).code).toBe(4)
  expect((await verify(text.replace('{', '{"note":1,'))).code).toBe(1)
})

test('of several files the gravest decides, in any order', async () => {
  const since = file(checkpointOf(origin, [...lines(), lineOf({ header: header(10, 'd', 1), data: {} }, 10)], [key]))
  const gap = file(textOf(forged((r) => (r[3]!.withoutPrivate = true))))
  const broken = file(text.replace('"position":4', '"position":5'))
  const untrusted = file(textOf(bundleOf(origin, lines(), testKey())))
  const whole = file(text)
  const args = ['--vkey', pinned, '--origin', origin]
  const code = async (...files: string[]) => (await run(...files, ...args)).code
  expect([await code(whole, gap), await code(gap, whole)]).toEqual([3, 3])
  expect(await code(gap, '--since', since)).toBe(2)
  expect(await code(whole, '--since', since)).toBe(2)
  expect(await code(broken, whole, '--since', since)).toBe(1)
  expect(await code(whole, broken, untrusted)).toBe(4)
  expect(await code(untrusted, whole, broken)).toBe(4)
  expect(await code(untrusted, `${whole}.none`)).toBe(64)
})

test('any text and any bytes get an exit code', async () => {
  const json = fc.json().map((value) => Buffer.from(`${value}\n`))
  const lineLike = fc.constantFrom(...text.trimEnd().split('\n')).map((line) => Buffer.from(`${line}\n`))
  const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => Buffer.from(value))
  const zipped = fc
    .array(fc.oneof(lineLike, json, bytes), { maxLength: 6 })
    .map((parts) => gzipSync(Buffer.concat(parts)))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(lineLike, json, bytes, zipped), { maxLength: 6 }), async (parts) => {
      const { code } = await verify(Buffer.concat(parts))
      expect([1, 4]).toContain(code)
    }),
    { numRuns: 150 },
  )
})

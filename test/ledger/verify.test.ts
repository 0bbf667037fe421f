import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { runVerify } from '../../ledger/verify/command.ts'
import {
  bundleOf,
  checkpointOf,
  jcs,
  lineOf,
  testKey,
  textOf,
  type RecordLine,
  type TestBundle,
  type TestJson,
  type TestRecord,
} from './bundle-generator.ts'

const folder = mkdtempSync(join(tmpdir(), 'verify-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
function file(content: string | Uint8Array): string {
  const path = join(folder, `${files++}.ndjson`)
  writeFileSync(path, content)
  return path
}

const origin = 'demo/acme'
const key = testKey()
const pinned = key.vkey(origin)

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await runVerify(argv, { out: (text) => (out += text), err: (text) => (err += text) })
  return { code, out, err }
}

const verify = (content: string | Uint8Array, ...more: string[]) =>
  run(file(content), '--vkey', pinned, '--origin', origin, ...more)

const verifyBundle = (bundle: TestBundle, ...more: string[]) => verify(textOf(bundle), ...more)

function header(position: number, stream: string, version: number, more: TestJson = {}): TestJson {
  const recordedAt = new Date(Date.UTC(2026, 10, 21, 8, 0, Math.floor(position / 2))).toISOString()
  return { kind: 'order.placed', source: 'shop', stream, version, recordedAt, ...more }
}

/** Ten records: three streams, private parts, records erased whole (2) and in their private part (5), two erasures. */
function records(): TestRecord[] {
  const erased = (position: number, version: number, data: TestJson): TestRecord => ({
    header: header(position, 'erasures', version, { kind: 'ledger.erased', actor: 'dpo' }),
    data,
  })
  return [
    { header: header(0, 'a', 1), data: {} },
    { header: header(1, 'b', 1, { occurredAt: '2024-02-29T23:59:59.999Z' }), data: { amount: 1.5, tags: ['é', '😀'] } },
    {
      header: header(2, 'a', 2),
      data: { name: 'Ada' },
      private: { mail: 'ada@x' },
      withoutData: true,
      withoutPrivate: true,
    },
    { header: header(3, 'b', 2, { key: 'k-1' }), data: { n: 3 }, private: { mail: 'bob@x', '10': 1, '9': 2 } },
    { header: header(4, 'a', 3, { causation: 'acme:3' }), data: { deep: [{ x: null, y: true }] } },
    { header: header(5, 'b', 3), data: { n: 5 }, private: { mail: 'eve@x' }, withoutPrivate: true },
    erased(6, 1, { position: 2 }),
    erased(7, 2, { part: 'private', position: 5 }),
    { header: header(8, 'a', 4), data: { 'a\n': '"\\' } },
    { header: header(9, 'c', 1), data: { last: -0.1 } },
  ]
}

const lines = (): RecordLine[] => records().map(lineOf)
const good = (): TestBundle => bundleOf(origin, lines(), key)
/** Changes records before they are hashed and signed: an operator's lie under the right key. */
function forged(change: (records: TestRecord[]) => void): TestBundle {
  const list = records()
  change(list)
  return bundleOf(origin, list.map(lineOf), key)
}
/** Changes lines and signs them as they then are. */
function forgedLines(change: (lines: RecordLine[]) => void, options: { withPrivate?: boolean } = {}): TestBundle {
  const list = lines()
  change(list)
  return bundleOf(origin, list, key, options)
}

describe('a valid bundle', () => {
  test('verifies, and the report says what was found', async () => {
    const { code, out, err } = await verifyBundle(good())
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^valid: .*demo\/acme, size 10.*10 records, 2 erased and accounted for; signed by demo\/acme\+/)
  })

  test('verifies without a last newline, and with lines written with other spaces, order and escapes', async () => {
    expect((await verify(textOf(good()).trimEnd())).code).toBe(0)
    const { head, lines } = good()
    const reversed = (value: object): object => Object.fromEntries(Object.entries(value).toReversed())
    const spaced = [head, ...lines].map((line) => JSON.stringify(reversed(line), null, ' ').replaceAll('\n', ' '))
    expect((await verify(spaced.join('\n'))).code).toBe(0)
    expect((await verify(textOf(good()).replaceAll('é', '\\u00e9'))).code).toBe(0)
  })

  test('verifies gzipped, also in several members', async () => {
    const text = Buffer.from(textOf(good()))
    expect((await verify(gzipSync(text))).code).toBe(0)
    expect((await verify(Buffer.concat([gzipSync(text.subarray(0, 700)), gzipSync(text.subarray(700))]))).code).toBe(0)
  })

  test('verifies when private parts are withheld because the exporter may not read them', async () => {
    const withheld = forgedLines(
      (list) => {
        for (const line of list) Object.assign(line, { private: null, privateSalt: null })
      },
      { withPrivate: false },
    )
    expect((await verifyBundle(withheld)).code).toBe(0)
  })

  test('of a ledger without records verifies', async () => {
    expect((await verifyBundle(bundleOf(origin, [], key))).code).toBe(0)
  })

  test('verifies when unknown keys have signed beside the pinned one, also under its name', async () => {
    const bundle = bundleOf(origin, lines(), key, { signers: [testKey(), key, testKey()] })
    expect((await verifyBundle(bundle)).code).toBe(0)
  })

  test('verifies with the old key alone while it is being replaced and signs beside the new one that is named', async () => {
    const next = testKey()
    expect((await verifyBundle(bundleOf(origin, lines(), next, { signers: [next, key] }))).code).toBe(0)
    const damaged = bundleOf(origin, lines(), next, { signers: [next, key] })
    damaged.head.vkey = damaged.head.vkey.replace(/.$/, '!')
    expect((await verifyBundle(damaged)).code).toBe(4)
  })

  test('of many streams and records verifies in one reading', async () => {
    const many = Array.from({ length: 2000 }, (_, i) =>
      lineOf({ header: header(i, `s${i % 700}`, 1 + Math.floor(i / 700)), data: { i } }, i),
    )
    const older = file(checkpointOf(origin, many.slice(0, 1300), [key]))
    expect((await verifyBundle(bundleOf(origin, many, key), '--since', older)).code).toBe(0)
  })

  test('is told about in JSON as well', async () => {
    const { code, out } = await verifyBundle(good(), '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      verdict: 'valid',
      exitCode: 0,
      subjects: [{ origin, size: 10, records: 10, erasedParts: 2, signedBy: [pinned], findings: [] }],
    })
  })
})

describe('a mistake in the call is a usage error, whatever else is wrong', () => {
  const path = file(textOf(good()))
  test.each<[string, string[]]>([
    ['no file', ['--vkey', pinned, '--origin', origin]],
    ['no key', [path, '--origin', origin]],
    ['no origin', [path, '--vkey', pinned]],
    ['a key that is none', [path, '--vkey', 'demo/acme+00000000+AAAA', '--origin', origin]],
    [
      'a key with a digit changed',
      [path, '--vkey', pinned.replace(/\+(.)/, (_, d) => `+${d === '0' ? '1' : '0'}`), '--origin', origin],
    ],
    ['an origin that is none', [path, '--vkey', pinned, '--origin', 'Demo']],
    ['an unknown option', [path, '--vkey', pinned, '--origin', origin, '--trust-me']],
    ['a file that is not there', [join(folder, 'nowhere'), '--vkey', pinned, '--origin', origin]],
    ['a folder', [folder, '--vkey', pinned, '--origin', origin]],
    [
      'an older checkpoint that is not there',
      [path, '--vkey', pinned, '--origin', origin, '--since', join(folder, 'no')],
    ],
    [
      'a file that is not there beside an untrusted one',
      [
        file(textOf(bundleOf(origin, lines(), testKey()))),
        join(folder, 'nowhere'),
        '--vkey',
        pinned,
        '--origin',
        origin,
      ],
    ],
  ])('%s', async (_, argv) => {
    const { code, err } = await run(...argv)
    expect(code).toBe(64)
    expect(err).toContain('usage: ledgerway verify')
  })

  test('asking for help is none', async () => {
    expect(await run('--help')).toMatchObject({ code: 0, out: expect.stringContaining('exit code') })
  })
})

describe('a key that is not pinned', () => {
  const other = testKey()
  test.each<[string, TestBundle]>([
    ['a history rewritten and signed under another key', bundleOf(origin, lines().slice(1), other)],
    ['the same history under another key', bundleOf(origin, lines(), other)],
    ['another key that only names the pinned one', bundleOf(origin, lines(), key, { signers: [other] })],
    [
      'a bundle that names another key than the pinned one that signed',
      { ...good(), head: { ...good().head, vkey: other.vkey(origin) } },
    ],
    [
      'a vkey with one character changed',
      {
        ...good(),
        head: { ...good().head, vkey: `${pinned.slice(0, -3)}${pinned.at(-3) === 'A' ? 'B' : 'A'}${pinned.slice(-2)}` },
      },
    ],
  ])('%s', async (_, bundle) => {
    expect((await verifyBundle(bundle)).code).toBe(4)
  })

  test('comes before everything that is broken in the bundle', async () => {
    const bundle = bundleOf(origin, lines(), other)
    bundle.lines.splice(3, 2)
    expect((await verify(`${textOf(bundle)}not json\n`)).code).toBe(4)
  })

  test('has signed the older checkpoint', async () => {
    const older = file(checkpointOf(origin, lines().slice(0, 4), [other]))
    expect((await verifyBundle(good(), '--since', older)).code).toBe(4)
  })
})

describe('a checkpoint that a pinned key has not signed as it is', () => {
  const changed = (change: (note: string) => string): TestBundle => {
    const bundle = good()
    return { ...bundle, head: { ...bundle.head, checkpoint: change(bundle.head.checkpoint) } }
  }
  const signatureChanged = (note: string): string => {
    const [text = '', data = ''] = note.trimEnd().split(/ (?=[^ ]+$)/)
    const bytes = Buffer.from(data, 'base64')
    bytes[40]! ^= 1
    return `${text} ${bytes.toString('base64')}\n`
  }
  test.each<[string, TestBundle]>([
    ['another size', changed((note) => note.replace('\n10\n', '\n11\n'))],
    ['a leading zero', changed((note) => note.replace('\n10\n', '\n010\n'))],
    ['another origin', changed((note) => note.replace('demo/acme', 'demo/acmf'))],
    [
      'another root',
      changed((note) =>
        note.replace(/^(.*\n.*\n)./, (_, before) => `${before}${note.split('\n')[2]?.startsWith('A') ? 'B' : 'A'}`),
      ),
    ],
    ['a changed signature', changed(signatureChanged)],
    [
      'a failing signature of the pinned key beside a good one',
      changed((note) => note + signatureChanged(note).split('\n\n')[1]),
    ],
    ['an extension line', changed((note) => note.replace('\n\n', '\nmore\n\n'))],
    ['no signature', changed((note) => `${note.split('\n\n')[0]}\n\n`)],
    ['no final newline', changed((note) => note.trimEnd())],
    ['a hyphen for the dash', changed((note) => note.replace('—', '-'))],
    ['base64 without its padding', changed((note) => note.replace(/=*\n$/, '\n'))],
    ['a carriage return', changed((note) => note.replaceAll('\n', '\r\n'))],
    ['nothing', changed(() => '')],
  ])('%s', async (_, bundle) => {
    expect((await verifyBundle(bundle)).code).toBe(1)
  })

  test('signed truly, but with a fourth line', async () => {
    const bundle = good()
    const text = `${bundle.head.checkpoint.split('\n\n')[0]}\nextension\n`
    bundle.head.checkpoint = `${text}\n${key.sign(origin, text)}`
    expect((await verifyBundle(bundle)).code).toBe(1)
  })

  test("a pinned key that is another ledger's signs nothing here", async () => {
    const bundle = good()
    const text = `${bundle.head.checkpoint.split('\n\n')[0]}\n`
    bundle.head.checkpoint = `${text}\n${key.sign('demo/other', text)}`
    bundle.head.vkey = key.vkey('demo/other')
    const { code } = await run(file(textOf(bundle)), '--vkey', key.vkey('demo/other'), '--origin', origin)
    expect(code).toBe(1)
  })

  test('an older checkpoint that is damaged is invalid', async () => {
    const note = checkpointOf(origin, lines().slice(0, 4), [key])
    expect((await verifyBundle(good(), '--since', file(note.replace('\n4\n', '\n3\n')))).code).toBe(1)
    expect((await verifyBundle(good(), '--since', file('nothing'))).code).toBe(1)
  })
})

describe('every byte class of a bundle, altered, is found', () => {
  const flip = (text: string): string => text.replace(/[a-z0-9]/i, (c) => (c === 'b' ? 'c' : 'b'))
  const strings = ['header', 'data', 'salt', 'dataCommitment', 'private', 'privateSalt', 'privateCommitment'] as const

  test('any stored field of any record: changed, removed, emptied, nulled, of another type, taken from a neighbour', async () => {
    const clean = good()
    for (const [i, line] of clean.lines.entries()) {
      for (const field of [...strings, 'position'] as const) {
        const value = line[field]
        const neighbour = clean.lines[(i + 1) % clean.lines.length]![field]
        const others: unknown[] = [null, undefined, '', 'AAAA', 0.5, -1, true, {}, [], neighbour]
        if (typeof value === 'string')
          others.push(flip(value), ` ${value}`, `${value} `, value.slice(0, -1), value + value)
        if (typeof value === 'number') others.push(String(value), value + 1, value - 1)
        for (const other of others) {
          if (other === value) continue
          const altered = clean.lines.with(i, { ...line, [field]: other as never })
          const { code, out } = await verifyBundle({ ...clean, lines: altered })
          expect(code, `record ${i}: ${field} = ${JSON.stringify(other)}\n${out}`).toBe(1)
        }
      }
    }
  }, 60_000)

  test('any field of the first line', async () => {
    const clean = good()
    for (const [field, value] of Object.entries(clean.head)) {
      for (const other of [null, undefined, '', 1, 11, {}, `${String(value)}x`, 'demo/other', !clean.head.private]) {
        const { code } = await verifyBundle({ ...clean, head: { ...clean.head, [field]: other } })
        const untrusted = field === 'vkey' && typeof other === 'string'
        // With `false`, private parts may be there or not: that claim alone changes nothing that was signed.
        const harmless = field === 'private' && other === false
        expect(code, `${field} = ${JSON.stringify(other)}`).toBe(untrusted ? 4 : harmless ? 0 : 1)
      }
    }
  })

  test('any single byte of the file', async () => {
    const clean = Buffer.from(textOf(good()))
    // Every fifth byte, with another bit each time; together with the fields above, each kind of byte is met many times.
    for (let at = 0; at < clean.length - 1; at += 5) {
      const altered = Buffer.from(clean)
      altered[at]! ^= 1 << (at % 8)
      const { code, out } = await verify(altered)
      expect([1, 4], `byte ${at} (${clean.toString('latin1', at - 20, at + 20)})\n${out}`).toContain(code)
    }
  }, 60_000)

  test.each<[string, (lines: string[]) => string[]]>([
    ['a record removed', (l) => l.toSpliced(4, 1)],
    ['the first record removed', (l) => l.toSpliced(1, 1)],
    ['the last record removed', (l) => l.slice(0, -1)],
    ['a cut tail', (l) => l.slice(0, 6)],
    ['only the first line left', (l) => l.slice(0, 1)],
    ['the first line removed', (l) => l.slice(1)],
    ['a record twice', (l) => l.toSpliced(4, 0, l[4]!)],
    ['the last record replayed', (l) => [...l, l.at(-1)!]],
    ['two records swapped', (l) => l.with(3, l[4]!).with(4, l[3]!)],
    ['a foreign record appended', (l) => [...l, JSON.stringify({ ...JSON.parse(l[1]!), position: 10 })]],
    ['an empty line', (l) => l.toSpliced(4, 0, '')],
    ['an empty line at the end', (l) => [...l, '']],
    ['a line cut in the middle', (l) => l.with(5, l[5]!.slice(0, 30))],
    ['the last line cut', (l) => l.with(l.length - 1, l.at(-1)!.slice(0, -1))],
    ['two records on one line', (l) => l.with(4, l[4]! + l[5]!).toSpliced(5, 1)],
    ['a field twice', (l) => l.with(4, l[4]!.replace('{', '{"position":3,'))],
    ['a field twice, by escape', (l) => l.with(4, l[4]!.replace('{', '{"\\u0070osition":3,'))],
    ['a further field', (l) => l.with(4, l[4]!.replace('{', '{"note":"x",'))],
    ['a further field in the first line', (l) => l.with(0, l[0]!.replace('{', '{"note":"x",'))],
    ['a field of the first line twice', (l) => l.with(0, l[0]!.replace('{', '{"size":10,'))],
    ['a line that is an array', (l) => l.with(4, `[${l[4]}]`)],
    ['a half surrogate', (l) => l.with(9, l[9]!.replace('\\n', '\\ud800'))],
    ['nothing at all', () => []],
  ])('%s', async (_, change) => {
    const text = change(textOf(good()).trimEnd().split('\n'))
      .map((line) => `${line}\n`)
      .join('')
    expect((await verify(text)).code).toBe(1)
  })

  test('a byte order mark, bytes that are not UTF-8, other line ends, and what follows a gzip', async () => {
    const text = textOf(good())
    expect((await verify(`\ufeff${text}`)).code).toBe(1)
    expect((await verify(Buffer.from(text.replace('é', '\u00ff'), 'latin1'))).code).toBe(1)
    expect((await verify(text.replaceAll('\n', '\r'))).code).toBe(1)
    const zipped = gzipSync(text)
    for (const broken of [
      zipped.subarray(0, -1),
      zipped.subarray(0, zipped.length / 2),
      Buffer.concat([zipped, Buffer.alloc(8)]),
      Buffer.concat([zipped, Buffer.from('x')]),
      Buffer.concat([zipped, gzipSync('more')]),
      gzipSync(zipped),
      zipped.map((byte, i) => (i === zipped.length - 6 ? byte ^ 1 : byte)),
    ]) {
      expect((await verify(broken)).code).toBe(1)
    }
  })

  test('the report names the first break', async () => {
    const bundle = good()
    bundle.lines[8]!.data = '{"b":1}'
    bundle.lines[4]!.data = '{"b":1}'
    const { out } = await verifyBundle(bundle)
    expect(out).toMatch(/^invalid: .*, line 6, record 4: its data and salt do not match their commitment\n$/)
    const json = JSON.parse((await verifyBundle(bundle, '--json')).out)
    expect(json).toMatchObject({
      verdict: 'invalid',
      exitCode: 1,
      subjects: [{ findings: [{ line: 6, position: 4 }] }],
    })
  })
})

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
    const { sha256 } = await import('./bundle-generator.ts')
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

describe('erasure', () => {
  test.each<[string, number, TestBundle]>([
    ['data missing without a reason', 3, forged((r) => (r[1]!.withoutData = true))],
    ['data missing where only the private part was erased', 3, forged((r) => (r[5]!.withoutData = true))],
    ['a private part missing without a reason', 3, forged((r) => (r[3]!.withoutPrivate = true))],
    ['an erasure whose own data is missing', 3, forged((r) => (r[6]!.withoutData = true))],
    ['the record that says why removed', 3, forged((r) => Object.assign(r[6]!.header, { kind: 'ledger.forgot' }))],
    ['data there that was erased', 1, forged((r) => delete r[2]!.withoutData)],
    ['a private part there that was erased with the data', 1, forged((r) => delete r[2]!.withoutPrivate)],
    ['a private part there that was erased', 1, forged((r) => delete r[5]!.withoutPrivate)],
    ['an erasure of itself', 1, forged((r) => (r[6]!.data = { position: 6 }))],
    ['an erasure of a later record', 1, forged((r) => (r[6]!.data = { position: 8 }))],
    ['an erasure of an erasure', 1, forged((r) => Object.assign(r[7]!, { data: { position: 6 } }))],
    [
      'an erasure of an erasure whose data is gone',
      1,
      forged((r) => {
        r[6]!.withoutData = true
        r[7]!.data = { position: 6 }
      }),
    ],
    ['an erasure with another part', 1, forged((r) => (r[7]!.data = { part: 'data', position: 5 }))],
    ['an erasure with a further field', 1, forged((r) => (r[6]!.data = { position: 2, why: 'x' }))],
    ['an erasure without a position', 1, forged((r) => (r[6]!.data = {}))],
    ['an erasure at no position', 1, forged((r) => (r[6]!.data = { position: -1 }))],
    ['an erasure at half a position', 1, forged((r) => (r[6]!.data = { position: 1.5 }))],
    ['an erasure of a text', 1, forged((r) => (r[6]!.data = { position: '2' }))],
  ])('%s', async (_, code, bundle) => {
    expect((await verifyBundle(bundle)).code).toBe(code)
  })

  test('a gap names its record, and the invalid comes before it', async () => {
    const gap = forged((r) => (r[3]!.withoutPrivate = true))
    expect((await verifyBundle(gap)).out).toMatch(/^gap: .*, line 5, record 3: the private part is missing/)
    const both = forged((r) => (r[3]!.withoutPrivate = true))
    both.lines[8]!.salt = both.lines[9]!.salt
    expect((await verifyBundle(both)).code).toBe(1)
  })

  test('a private part may be erased and the whole record after it', async () => {
    const bundle = forged((r) => {
      r[5]!.withoutData = true
      r.push({ header: header(10, 'erasures', 3, { kind: 'ledger.erased' }), data: { position: 5 } })
    })
    expect((await verifyBundle(bundle)).code).toBe(0)
  })
})

describe('an older checkpoint', () => {
  const since = (count: number, from = lines()): string => file(checkpointOf(origin, from.slice(0, count), [key]))

  test('of any smaller or equal size is continued by the true ledger', async () => {
    const all = Array.from({ length: 11 }, (_, count) => ['--since', since(count)]).flat()
    expect((await verifyBundle(good(), ...all)).code).toBe(0)
  })

  test('of a larger tree means that the bundle is truncated', async () => {
    const cut = bundleOf(origin, lines().slice(0, 8), key)
    expect((await verifyBundle(cut, '--since', since(10))).code).toBe(2)
    expect((await verifyBundle(bundleOf(origin, [], key), '--since', since(1))).code).toBe(2)
    // Records 0 to 4 alone: the erasure that explains record 2 is cut off as well, and 2 comes before 3.
    expect((await verifyBundle(bundleOf(origin, lines().slice(0, 5), key), '--since', since(10))).code).toBe(2)
    const broken = bundleOf(origin, lines().slice(0, 8), key)
    broken.lines[4]!.data = '{}'
    expect((await verifyBundle(broken, '--since', since(10))).code).toBe(1)
  })

  test('of another history means that it was rewritten, at any size', async () => {
    const other = records()
    other[0]!.data = { other: true }
    const otherLines = other.map(lineOf)
    for (const size of [1, 4, 7, 10]) {
      const { code, out } = await verifyBundle(good(), '--since', since(size, otherLines))
      expect(code).toBe(1)
      expect(out).toContain('history was rewritten')
    }
  })

  test('of another ledger is refused', async () => {
    const note = file(checkpointOf('demo/other', lines().slice(0, 2), [key]))
    expect((await verifyBundle(good(), '--since', note)).code).toBe(4)
    expect((await verifyBundle(good(), '--since', note, '--vkey', key.vkey('demo/other'))).code).toBe(1)
  })

  test('by a retired key that is still pinned holds', async () => {
    const old = testKey()
    const note = file(checkpointOf(origin, lines().slice(0, 6), [old]))
    expect((await verifyBundle(good(), '--since', note, '--vkey', old.vkey(origin))).code).toBe(0)
  })
})

describe('several bundles', () => {
  const other = 'demo/other'
  const both = ['--vkey', pinned, '--vkey', key.vkey(other), '--origin', origin, '--origin', other]
  const path = (bundle: TestBundle): string => file(textOf(bundle))

  test('are all verified, and the gravest finding decides', async () => {
    const a = path(good())
    const b = path(bundleOf(other, lines(), key))
    const gap = path(bundleOf(other, forged((r) => (r[1]!.withoutData = true)).lines, key))
    const cut = path({ ...good(), lines: good().lines.slice(1) })
    const untrusted = path(bundleOf(other, lines(), testKey()))
    expect((await run(a, b, ...both)).code).toBe(0)
    expect((await run(a, gap, ...both)).code).toBe(3)
    expect((await run(gap, cut, ...both)).code).toBe(1)
    expect((await run(cut, gap, untrusted, ...both)).code).toBe(4)
    expect((await run(a, gap, ...both)).out).toMatch(/^valid: .*\ngap: /)
  })

  test('of ledgers that are not expected are invalid', async () => {
    const { code } = await run(path(good()), path(bundleOf(other, lines(), key)), ...both.slice(0, -2))
    expect(code).toBe(1)
    expect((await run(path(good()), '--vkey', pinned, '--origin', other)).code).toBe(1)
  })

  test('of the same ledger must agree: an older one is the beginning of the newer', async () => {
    const older = path(bundleOf(origin, lines().slice(0, 2), key))
    expect((await run(older, path(good()), ...both)).code).toBe(0)
    const forked = path(
      bundleOf(
        origin,
        lines()
          .slice(0, 2)
          .with(0, lineOf({ header: header(0, 'a', 1), data: { x: 1 } }, 0)),
        key,
      ),
    )
    const { code, out } = await run(forked, path(good()), ...both)
    expect(code).toBe(1)
    expect(out).toContain('history was rewritten')
  })

  test('a record of one ledger does not pass in another', async () => {
    const moved = bundleOf(other, lines(), key)
    moved.head.origin = origin
    expect((await run(path(moved), ...both)).code).toBe(1)
  })
})

test('the generator writes canonical JSON', () => {
  expect(jcs({ b: [1, { d: null, c: 'x' }], a: 'é' })).toBe('{"a":"é","b":[1,{"c":"x","d":null}]}')
})

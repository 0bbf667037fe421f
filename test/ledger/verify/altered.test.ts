import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { textOf } from '../bundle-generator.ts'
import { verify, verifyBundle, good } from './harness.ts'

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
  })

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
  })

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

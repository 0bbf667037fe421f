import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { bundleOf, checkpointOf, jcs, lineOf, testKey, textOf } from '../bundle-generator.ts'
import { origin, key, pinned, verify, verifyBundle, lines, good, header, forgedLines, file } from './harness.ts'

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

test('the generator writes canonical JSON', () => {
  expect(jcs({ b: [1, { d: null, c: 'x' }], a: 'é' })).toBe('{"a":"é","b":[1,{"c":"x","d":null}]}')
})

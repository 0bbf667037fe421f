import { describe, expect, test } from 'vitest'
import { bundleOf, checkpointOf, testKey, textOf, type TestBundle } from '../bundle-generator.ts'
import { origin, key, pinned, verify, verifyBundle, lines, good, file, run } from './harness.ts'

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

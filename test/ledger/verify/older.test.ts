import { describe, expect, test } from 'vitest'
import { bundleOf, checkpointOf, lineOf, testKey } from '../bundle-generator.ts'
import { origin, key, verifyBundle, lines, good, records, file } from './harness.ts'

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

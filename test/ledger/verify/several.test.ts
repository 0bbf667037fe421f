import { describe, expect, test } from 'vitest'
import { bundleOf, lineOf, testKey, textOf, type TestBundle } from '../bundle-generator.ts'
import { origin, key, pinned, lines, good, header, forged, file, run } from './harness.ts'

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

import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bundleOf, testKey, textOf } from '../bundle-generator.ts'
import { origin, pinned, lines, good, file, folder, run } from './harness.ts'

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

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { runVerify } from '../../../ledger/verify/command.ts'
import {
  bundleOf,
  lineOf,
  sha256,
  testKey,
  textOf,
  type RecordLine,
  type TestBundle,
  type TestJson,
  type TestRecord,
} from '../bundle-generator.ts'

/** What the tests of `ledgerway verify` share: a good bundle from the format's page alone, ways to break it, and the command. */

export const folder = mkdtempSync(join(tmpdir(), 'verify-'))
afterAll(() => rmSync(folder, { recursive: true }))
let files = 0
export function file(content: string | Uint8Array): string {
  const path = join(folder, `${files++}.ndjson`)
  writeFileSync(path, content)
  return path
}

export const origin = 'demo/acme'
/** The same in every run, and so are the bytes that tests cut and change. */
export const key = testKey(sha256('the key of these tests'))
export const pinned = key.vkey(origin)

export async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = ''
  let err = ''
  const code = await runVerify(argv, { out: (text) => (out += text), err: (text) => (err += text) })
  return { code, out, err }
}

export const verify = (content: string | Uint8Array, ...more: string[]) =>
  run(file(content), '--vkey', pinned, '--origin', origin, ...more)

export const verifyBundle = (bundle: TestBundle, ...more: string[]) => verify(textOf(bundle), ...more)

export function header(position: number, stream: string, version: number, more: TestJson = {}): TestJson {
  const recordedAt = new Date(Date.UTC(2026, 10, 21, 8, 0, Math.floor(position / 2))).toISOString()
  return { kind: 'order.placed', source: 'shop', stream, version, recordedAt, ...more }
}

/** Ten records: three streams, private parts, records erased whole (2) and in their private part (5), two erasures. */
export function records(): TestRecord[] {
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

export const lines = (): RecordLine[] => records().map(lineOf)
export const good = (): TestBundle => bundleOf(origin, lines(), key)
/** Changes records before they are hashed and signed: an operator's lie under the right key. */
export function forged(change: (records: TestRecord[]) => void): TestBundle {
  const list = records()
  change(list)
  return bundleOf(origin, list.map(lineOf), key)
}
/** Changes lines and signs them as they then are. */
export function forgedLines(
  change: (lines: RecordLine[]) => void,
  options: { withPrivate?: boolean } = {},
): TestBundle {
  const list = lines()
  change(list)
  return bundleOf(origin, list, key, options)
}

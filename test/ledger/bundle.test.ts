import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { bundleStream, type BundleRow } from '../../ledger/bundle.ts'
import { commitment, headerText, leafOf, newSalt, textHash, zeroHash } from '../../ledger/entry.ts'
import { createCompactRange } from '../../ledger/merkle.ts'
import { signCheckpoint } from '../../ledger/proof/checkpoint.ts'
import { createSigner, newSeed } from '../../ledger/proof/keys.ts'
import { runVerify } from '../../ledger/verify/command.ts'

const folder = mkdtempSync(join(tmpdir(), 'bundle-'))
afterAll(() => rmSync(folder, { recursive: true }))

const origin = 'demo/acme'
const signer = createSigner(origin, newSeed())

/** Rows and their checkpoint, by the product's own pure functions. */
function ledger(size: number): { rows: BundleRow[]; checkpoint: string } {
  const tree = createCompactRange()
  const rows: BundleRow[] = []
  let previousLeaf: Buffer = zeroHash
  for (let position = 0; position < size; position++) {
    const header = headerText({
      kind: 'k',
      source: 's',
      stream: `é${position % 3}`,
      version: 1 + Math.floor(position / 3),
      recordedAt: '2026-11-21T08:00:00.000Z',
      key: position % 2 ? `"${position}"` : undefined,
    })
    const data = `{"n":${position}}`
    const salt = newSalt()
    const secret = position % 4 === 0 ? '{"mail":"ada@example.com"}' : null
    const privateSalt = secret === null ? null : newSalt()
    const dataCommitment = commitment(salt, data)
    const privateCommitment = secret === null || privateSalt === null ? null : commitment(privateSalt, secret)
    previousLeaf = leafOf({
      origin,
      position,
      previousLeaf,
      headerHash: textHash(header),
      dataCommitment,
      privateCommitment: privateCommitment ?? zeroHash,
    })
    tree.append(previousLeaf)
    rows.push({ position, header, data, salt, dataCommitment, private: secret, privateSalt, privateCommitment })
  }
  return { rows, checkpoint: signCheckpoint({ origin, size, root: tree.root() }, [signer]) }
}

async function* pages(rows: readonly BundleRow[], size: number): AsyncGenerator<readonly BundleRow[]> {
  for (let at = 0; at < rows.length; at += size) yield rows.slice(at, at + size)
}

async function* single(rows: readonly BundleRow[]): AsyncGenerator<BundleRow> {
  yield* rows
}

const head = (size: number, checkpoint: string) => ({ origin, size, private: true, checkpoint, vkey: signer.vkey })

test('what is written from rows or pages of rows verifies, plain and gzipped', async () => {
  const { rows, checkpoint } = ledger(1500)
  const plain = await buffer(bundleStream(head(1500, checkpoint), pages(rows, 400)))
  const gzipped = await buffer(bundleStream(head(1500, checkpoint), single(rows), { gzip: true }))
  expect(gunzipSync(gzipped).equals(plain)).toBe(true)
  for (const [name, content] of [
    ['plain', plain],
    ['gzipped', gzipped],
  ] as const) {
    const path = join(folder, name)
    writeFileSync(path, content)
    let out = ''
    const code = await runVerify([path, '--vkey', signer.vkey, '--origin', origin], {
      out: (text) => (out += text),
      err: (text) => (out += text),
    })
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('1500 records') })
  }
})

test('rows that are missing, doubled or too many end the stream with an error, gzipped or not', async () => {
  const { rows, checkpoint } = ledger(6)
  for (const gzip of [false, true]) {
    for (const wrong of [
      rows.slice(0, 5),
      rows.slice(1),
      rows.toSpliced(3, 0, rows[2]!),
      [...rows, { ...rows[5]!, position: 6 }],
    ]) {
      const stream = bundleStream(head(6, checkpoint), pages(wrong, 2), { gzip })
      await expect(buffer(stream)).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' })
    }
  }
})

test('a reader that goes away ends the reading of rows', async () => {
  const { rows, checkpoint } = ledger(6)
  for (const gzip of [false, true]) {
    let ended = false
    async function* endless(): AsyncGenerator<readonly BundleRow[]> {
      try {
        for (let position = 0; ; position++) yield [{ ...rows[0]!, position, data: `{"x":"${'x'.repeat(100_000)}"}` }]
      } finally {
        ended = true
      }
    }
    const stream = bundleStream(head(1_000_000_000, checkpoint), endless(), { gzip })
    for await (const chunk of stream) {
      expect((chunk as Buffer).length).toBeGreaterThan(0)
      break
    }
    await expect.poll(() => ended).toBe(true)
  }
})

import { createHash, hash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { bundleStream, type BundleRow } from '../ledger/bundle.ts'
import { commitment, entryText, headerText, leafOf, newSalt, originOf, textHash, zeroHash } from '../ledger/entry.ts'
import { createCompactRange } from '../ledger/merkle.ts'
import { signCheckpoint } from '../ledger/proof/checkpoint.ts'
import { createSigner, newSeed } from '../ledger/proof/keys.ts'
import { runVerify } from '../ledger/verify/command.ts'

/**
 * `npm run bench -- verify`: the offline verifier beside the hashing that no verifier can do without. Baseline: SHA-256
 * of the very messages that verifying a bundle hashes (each header, salt and data, entry, and a tree node a record), one
 * call each with a Buffer as digest, already in memory; nothing is read, parsed or compared. Rounds take turns, the median
 * counts. For scale: the same with digests as text, which is how the verifier itself hashes, and SHA-256 over the whole
 * file in large blocks, which is what a checksum of the file would cost.
 */
const recordCount = Number(process.env['BENCH_RECORDS'] ?? 100_000)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5)

const origin = originOf('bench', 'acme')
const signer = createSigner(origin, newSeed())
const folder = await mkdtemp(join(tmpdir(), 'ledgerway-bench-'))
try {
  const { rows, messages, checkpoint } = makeLedger()
  const plain = join(folder, 'bundle.ndjson')
  const gzipped = join(folder, 'bundle.ndjson.gz')
  const header = { origin, size: recordCount, private: true, checkpoint, vkey: signer.vkey }
  await pipeline(bundleStream(header, pagesOf(rows)), createWriteStream(plain))
  await pipeline(bundleStream(header, pagesOf(rows), { gzip: true }), createWriteStream(gzipped))
  rows.length = 0

  const cases: Record<string, () => Promise<void>> = {
    'raw SHA-256 of the same messages': async () => {
      for (const message of messages) hash('sha256', message, 'buffer')
    },
    'raw SHA-256 of the same messages, digests as text': async () => {
      for (const message of messages) hash('sha256', message, 'base64')
    },
    verify: () => verify(plain),
    'verify, gzipped': () => verify(gzipped),
    'raw SHA-256 of the whole file': async () => {
      const sum = createHash('sha256')
      for await (const chunk of createReadStream(plain, { highWaterMark: 1024 * 1024 })) sum.update(chunk as Buffer)
      sum.digest()
    },
  }
  const times = new Map(Object.keys(cases).map((name) => [name, [] as number[]]))
  for (const run of Object.values(cases)) await run()
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(cases)) {
      const start = performance.now()
      await run()
      times.get(name)?.push(performance.now() - start)
    }
  }
  const baseline = 'raw SHA-256 of the same messages'
  const baselineMs = median(times.get(baseline) ?? [])
  const fileBytes = (await stat(plain)).size
  for (const [name, all] of times) {
    const ms = median(all)
    console.log(
      JSON.stringify({
        bench: 'verify',
        case: name,
        baseline,
        recordsPerSecond: Math.round((recordCount / ms) * 1000),
        ratio: Number((baselineMs / ms).toFixed(3)),
        records: recordCount,
        hashedMessages: messages.length,
        fileBytes,
        rounds,
      }),
    )
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function verify(file: string): Promise<void> {
  let report = ''
  const io = { out: (text: string) => (report += text), err: (text: string) => (report += text) }
  const code = await runVerify([file, '--vkey', signer.vkey, '--origin', origin], io)
  if (code !== 0) throw new Error(report)
}

/** Records of about 700 bytes in the bundle, ten a stream. */
function makeLedger(): { rows: BundleRow[]; messages: Buffer[]; checkpoint: string } {
  const rows: BundleRow[] = []
  const messages: Buffer[] = []
  const tree = createCompactRange()
  let previousLeaf: Buffer = zeroHash
  const streams = Math.ceil(recordCount / 10)
  for (let position = 0; position < recordCount; position++) {
    const recordHeader = headerText({
      kind: 'trade.executed',
      source: 'otc-desk',
      stream: `trade/${position % streams}`,
      version: 1 + Math.floor(position / streams),
      recordedAt: new Date(1_795_000_000_000 + position).toISOString(),
      occurredAt: '2026-11-21T08:00:00.000Z',
      key: `trade-${position}`,
    })
    const data = `{"buyer":"Acme Corporation","currency":"EUR","legs":[{"notional":${1000 + position},"rate":1.25}],"note":"Free text of about a hundred characters, as people write it when they book a trade by hand.","quantity":${position},"seller":"Umbrella GmbH","tags":["otc","spot","manual"]}`
    const salt = newSalt()
    const dataCommitment = commitment(salt, data)
    const headerHash = textHash(recordHeader)
    const entry = { origin, position, previousLeaf, headerHash, dataCommitment, privateCommitment: zeroHash }
    previousLeaf = leafOf(entry)
    tree.append(previousLeaf)
    const none = { private: null, privateSalt: null, privateCommitment: null }
    rows.push({ position, header: recordHeader, data, salt, dataCommitment, ...none })
    messages.push(
      Buffer.from(recordHeader),
      Buffer.concat([salt, Buffer.from(data)]),
      Buffer.from(`\0${entryText(entry)}`),
      Buffer.concat([Buffer.of(1), previousLeaf, zeroHash]),
    )
  }
  return { rows, messages, checkpoint: signCheckpoint({ origin, size: recordCount, root: tree.root() }, [signer]) }
}

async function* pagesOf(rows: readonly BundleRow[]): AsyncGenerator<readonly BundleRow[]> {
  for (let at = 0; at < rows.length; at += 1000) yield rows.slice(at, at + 1000)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

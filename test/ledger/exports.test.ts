import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { createExportReader, type ExportReader } from '../../ledger/exports/read-exports.ts'
import { createExportWriter, type ExportLimits, type ExportWriter } from '../../ledger/exports/write-exports.ts'
import { eraseRecords, eraseSubject } from '../../ledger/private/erase.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { formatSkey, newSeed } from '../../ledger/proof/keys.ts'
import { runVerify } from '../../ledger/verify/command.ts'
import { createWorld, record, type World } from './world.ts'

let world: World
const skey = formatSkey('test', newSeed())
const keyring = parseKeyring(skey)
const folder = mkdtempSync(join(tmpdir(), 'exports-'))
const signal = new AbortController().signal
let now = Date.now()
beforeAll(async () => {
  world = await createWorld()
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await world[Symbol.asyncDispose]()
})

function exportsWith(limits: Partial<ExportLimits> = {}): ExportWriter & ExportReader {
  const { store, wrappingKey } = world
  const signer = createCheckpointSigner({
    store,
    keyring,
    states: [catalogSignerState(store.catalog)],
    logger: silentLogger,
  })
  const clock = { now: () => now }
  return {
    ...createExportWriter({ store, signer, keyring, wrappingKey, limits, clock }),
    ...createExportReader({ store, wrappingKey, clock }),
  }
}

/** Hardly compressible, so that a few records are many chunks. */
const noise = (bytes: number): string =>
  createHash('shake256', { outputLength: bytes }).update(String(bytes)).digest('hex')

async function ledgerOf(records: number, bytes = 20): Promise<CompanyId> {
  const companyId = await world.company()
  for (let i = 0; i < records; i++) {
    const person = { subject: `p${i}`, data: { mail: `p${i}@example.com` } }
    const data = { text: noise(bytes + i) }
    await world.ledger.append(companyId, { records: [record({ data, private: i % 2 === 0 ? person : null })] })
  }
  return companyId
}

async function download(exports: ExportReader, id: string): Promise<Buffer | null> {
  const file = await exports.open(id)
  if (file === null) return null
  const chunks: Buffer[] = []
  for await (const chunk of file.read(signal)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  expect(bytes.length).toBe(file.bytes)
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(file.sha256)
  return bytes
}

test('any range of bytes is read as it lies in the whole file', async () => {
  const companyId = await ledgerOf(3, 1_200_000)
  const exports = exportsWith()
  const { id } = await exports.write(companyId, 'normal.ranges', { private: false, signal })
  const whole = await download(exports, id)
  const file = await exports.open(id)
  const mebibyte = 1024 * 1024
  expect(whole!.length).toBeGreaterThan(2 * mebibyte)
  for (const [start, end] of [
    [0, 1],
    [5, mebibyte],
    [mebibyte - 1, mebibyte + 1],
    [mebibyte, 2 * mebibyte],
    [100, whole!.length],
    [whole!.length - 1, whole!.length],
  ] as const) {
    const read: Buffer[] = []
    for await (const chunk of file!.read(signal, { start, end })) read.push(chunk)
    expect(Buffer.concat(read).equals(whole!.subarray(start, end))).toBe(true)
  }
})

async function verify(companyId: CompanyId, bundle: Buffer): Promise<string> {
  const path = join(folder, `${companyId}.gz`)
  writeFileSync(path, bundle)
  const origin = `test/${companyId}`
  const lines: string[] = []
  const io = { out: (text: string) => lines.push(text), err: (text: string) => lines.push(text) }
  await runVerify([path, '--vkey', keyring.vkey(origin), '--origin', origin], io)
  return lines.join('')
}

const rows = (companyId: CompanyId) =>
  world.sql(companyId, async (sql) => {
    const [exports] = await sql<[{ n: number }]>`
      select count(*) as n from ledger_exports where company_id = ${companyId}`
    const [chunks] = await sql<[{ n: number }]>`
      select count(*) as n from ledger_export_chunks where company_id = ${companyId}`
    return { exports: exports.n, chunks: chunks.n }
  })

test('an export of many chunks is read by another process than the one that wrote it, and verifies', async () => {
  const companyId = await ledgerOf(3, 800_000)
  const progress: number[] = []
  const onProgress = (done: number): void => void progress.push(done)
  const written = await exportsWith().write(companyId, 'normal.1', { private: true, signal, onProgress })
  expect(written).toMatchObject({ id: `${companyId}:normal.1`, size: 4, private: true })
  expect(progress.at(-1)).toBe(4)
  expect((await rows(companyId)).chunks).toBeGreaterThan(2)
  const bundle = await download(exportsWith(), written.id)
  expect(await verify(companyId, bundle!)).toMatch(/^valid: .* 4 records; signed by/)
})

test('what lies on the shard can be read only with the wrapping key', async () => {
  const companyId = await ledgerOf(1)
  await exportsWith().write(companyId, 'normal.1', { private: true, signal })
  const [chunk] = await world.sql(
    companyId,
    (sql) => sql<{ sealed: Buffer }[]>`
    select sealed from ledger_export_chunks where company_id = ${companyId}`,
  )
  const plain = await download(exportsWith(), `${companyId}:normal.1`)
  expect(plain!.subarray(0, 3)).toEqual(Buffer.of(0x1f, 0x8b, 0x08))
  expect(chunk!.sealed.includes(plain!.subarray(0, 16))).toBe(false)
})

test.each([
  ['of a person', 'what holds private parts', (id: CompanyId) => eraseSubject(world.ledger, id, 'p0'), 1],
  ['of a record', 'everything', (id: CompanyId) => eraseRecords(world.ledger, id, [1]), 0],
])('an erasure %s takes exported bundles with it: %s', async (_, _what, erase, left) => {
  const companyId = await ledgerOf(2)
  const exports = exportsWith()
  const withPrivate = await exports.write(companyId, 'normal.1', { private: true, signal })
  const without = await exports.write(companyId, 'normal.2', { private: false, signal })
  const open = (await exports.open(withPrivate.id))!
  await erase(companyId)
  expect(await rows(companyId)).toEqual({ exports: left, chunks: left })
  expect(await exports.open(withPrivate.id)).toBeNull()
  expect((await exports.open(without.id)) === null).toBe(left === 0)
  await expect(open.read(signal).next()).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('an erasure while an export is being written refuses its further chunks, and the next try is whole', async () => {
  const companyId = await ledgerOf(3, 800_000)
  const exports = exportsWith()
  let erased: Promise<unknown> | undefined
  const onProgress = (): void => void (erased ??= eraseRecords(world.ledger, companyId, [1]))
  const first = exports.write(companyId, 'normal.1', { private: true, signal, onProgress })
  const outcome = await first.then(
    () => 'written',
    (error: { code: string }) => error.code,
  )
  await erased
  // Written before the erasure it was deleted by it; after it, it has begun in vain.
  expect(['OVERLOADED', 'written']).toContain(outcome)
  expect(await rows(companyId)).toEqual({ exports: 0, chunks: 0 })
  const again = await exports.write(companyId, 'normal.1', { private: true, signal })
  expect(await verify(companyId, (await download(exports, again.id))!)).toMatch(/^valid: .* 1 erased and accounted for/)
})

test('a worker that is killed in the middle of an export leaves nothing to be seen, and the job done again replaces it', async () => {
  const companyId = await ledgerOf(5, 800_000)
  const writer = fileURLToPath(new URL('export-writer.ts', import.meta.url))
  const child = spawn(
    process.execPath,
    [writer, JSON.stringify({ ...world.servers, companyId, skey, wrappingKey: world.wrappingKey.toString('hex') })],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const exited = once(child, 'exit')
  await once(createInterface({ input: child.stdout }), 'line')
  child.kill('SIGKILL')
  await exited
  const left = await rows(companyId)
  expect(left.exports).toBe(1)
  const exports = exportsWith()
  expect(await exports.open(`${companyId}:normal.1`)).toBeNull()
  await exports.write(companyId, 'normal.1', { private: false, signal })
  expect((await rows(companyId)).exports).toBe(1)
  expect(await verify(companyId, (await download(exports, `${companyId}:normal.1`))!)).toMatch(/^valid/)
})

test('exports are bounded in number, size and room on the shard', async () => {
  const companyId = await ledgerOf(1)
  const exports = exportsWith({ perCompany: 2 })
  const ids: string[] = []
  for (const name of ['a', 'b', 'c']) {
    ids.push((await exports.write(companyId, name, { private: false, signal })).id)
  }
  const there = await Promise.all(ids.map(async (id) => (await exports.open(id)) !== null))
  expect(there).toEqual([false, true, true])

  const write = (limits: Partial<ExportLimits>) => exportsWith(limits).write(companyId, 'd', { private: false, signal })
  await expect(write({ maxBytes: 100 })).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  await expect(write({ shardBytes: 1 })).rejects.toMatchObject({ code: 'OVERLOADED' })
  await world.sql(companyId, (sql) => sql`update ledger_exports set sha256 = null where company_id = ${companyId}`)
  await expect(write({ perCompany: 2 })).rejects.toMatchObject({ code: 'OVERLOADED' })
})

test('exports end with their time; what a mover has not yet brought or taken away is left to it', async () => {
  const [old, moving, kept] = [await ledgerOf(1), await ledgerOf(1), await ledgerOf(1)]
  const exports = exportsWith({ keepMs: 60_000 })
  for (const companyId of [old, moving]) await exports.write(companyId, 'a', { private: false, signal })
  now += 61_000
  await exports.write(kept, 'a', { private: false, signal })
  for (const companyId of [old, moving]) expect(await exports.open(`${companyId}:a`)).toBeNull()
  await world.sql(moving, (sql) => sql`update ledger_heads set here = false where company_id = ${moving}`)
  const sweep = async () => {
    for (const shard of world.store.shards) await exports.sweep(shard)
    return Promise.all([old, moving, kept].map(rows))
  }
  const [gone, there] = [
    { exports: 0, chunks: 0 },
    { exports: 1, chunks: 1 },
  ]
  expect(await sweep()).toEqual([gone, there, there])
  // Nobody's any more.
  now += 86_400_000
  expect(await sweep()).toEqual([gone, gone, gone])
})

test.each(['', 'acme', 'acme:', ':a', 'acme:a/b', 'ACME:a', `acme:${'a'.repeat(300)}`])(
  '%j is no id of an export',
  async (id) => {
    await expect(exportsWith().open(id)).rejects.toMatchObject({ code: 'INVALID_ID' })
  },
)

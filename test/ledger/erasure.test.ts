import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner, type CheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { commitment } from '../../ledger/entry.ts'
import { exportLedger } from '../../ledger/export.ts'
import { eraseRecords, eraseSubject } from '../../ledger/private/erase.ts'
import { readPrivateParts } from '../../ledger/private/read.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { formatSkey, newSeed, parseVkey } from '../../ledger/proof/keys.ts'
import { readRecords } from '../../ledger/read.ts'
import { verifyBundles } from '../../ledger/verify/verify-bundles.ts'
import { verifyStored } from '../../ledger/verify-stored.ts'
import { createWorld, record, type World } from './world.ts'

let world: World
let signer: CheckpointSigner
const keyring = parseKeyring(formatSkey('test', newSeed()))
const directory = mkdtempSync(join(tmpdir(), 'ledgerway-export-'))
beforeAll(async () => {
  world = await createWorld()
  signer = createCheckpointSigner({
    store: world.store,
    keyring,
    states: [catalogSignerState(world.store.catalog)],
    logger: silentLogger,
  })
})
afterAll(async () => {
  rmSync(directory, { recursive: true })
  await world[Symbol.asyncDispose]()
})

const person = (subject: string, name: string) => record({ private: { subject, data: { name } } })

const stored = async (companyId: CompanyId, position: number) => {
  const rows = await world.sql(
    companyId,
    (sql) => sql`select * from ledger_records where company_id = ${companyId} and position = ${position}`,
  )
  return rows[0]!
}

const privateParts = (companyId: CompanyId, positions: number[]) =>
  world.sql(companyId, (sql) =>
    readPrivateParts(
      sql,
      world.wrappingKey,
      positions.map((position) => ({ companyId, position })),
    ),
  )

/** Exports, and lets the offline verifier judge. */
async function exported(companyId: CompanyId, options: { private: boolean; gzip?: boolean }) {
  const file = join(directory, `${companyId}-${options.private}`)
  const { stream, size } = await exportLedger({ ...world, signer, keyring }, companyId, options)
  await pipeline(stream, createWriteStream(file))
  const origin = `test/${companyId}`
  const [subject] = await verifyBundles({
    files: [file],
    verifiers: [parseVkey(keyring.vkey(origin))!],
    origins: [origin],
    older: [],
  })
  return { findings: subject!.findings, records: subject!.records, size, text: () => readFileSync(file, 'utf8') }
}

test('a private part is stored encrypted and read back with the key alone', async () => {
  const companyId = await world.company()
  await world.ledger.append(companyId, { records: [person('p-1', 'Ada Lovelace')] })
  const row = await stored(companyId, 1)
  expect(row['private'].includes('Ada Lovelace')).toBe(false)
  expect(row['header']).not.toContain('p-1')
  expect(await privateParts(companyId, [0, 1])).toEqual([
    { companyId, position: 1, subject: 'p-1', data: '{"name":"Ada Lovelace"}' },
  ])
})

test('erasing a person takes all of their private parts and nothing else, and the ledger verifies before and after', async () => {
  const companyId = await world.company()
  await world.ledger.append(companyId, {
    records: [person('ada', 'Ada Lovelace'), person('eve', 'Eve Example'), person('ada', 'A. L.')],
  })
  const before = await exported(companyId, { private: true })
  expect(before).toMatchObject({ findings: [], records: 4 })
  // With a space: letters alone may stand in any base64.
  expect(before.text()).toContain('Ada Lovelace')

  const erased = await eraseSubject(world.ledger, companyId, 'ada', { actor: 'key:1' })
  expect(erased.positions).toEqual([1, 3])
  expect((await privateParts(companyId, [1, 2, 3])).map(({ subject }) => subject)).toEqual(['eve'])
  const told = await world.sql(companyId, (sql) => readRecords(sql, [{ companyId, position: 4 }]))
  expect(told[0]).toMatchObject({ kind: 'ledger.erased', data: '{"part":"private","position":1}', actor: 'key:1' })
  expect((await verifyStored({ ...world, keyring }, companyId)).firstBreak).toBeNull()

  for (const options of [{ private: true }, { private: false, gzip: true }]) {
    expect(await exported(companyId, options)).toMatchObject({ findings: [], records: 6, size: 6 })
  }
  const text = (await exported(companyId, { private: true })).text()
  expect(text).not.toContain('Ada Lovelace')
  expect(text).toContain('Eve Example')
  // Erased once is erased: nothing further is said.
  expect((await eraseSubject(world.ledger, companyId, 'ada')).positions).toEqual([])
})

test('no part of a person is appended under the old key while they are being erased', async () => {
  const companyId = await world.company()
  await Promise.all(
    Array.from({ length: 30 }, async (_, i) => {
      if (i % 5 === 4) await eraseSubject(world.ledger, companyId, 'ada')
      else await world.ledger.append(companyId, { records: [person('ada', `Ada ${i}`)] })
    }),
  )
  expect((await verifyStored({ ...world, keyring }, companyId)).firstBreak).toBeNull()
  await eraseSubject(world.ledger, companyId, 'ada')
  expect(await exported(companyId, { private: true })).toMatchObject({ findings: [] })
})

test('an erased person can have new parts, and more than a thousand parts are erased at once', async () => {
  const companyId = await world.company()
  const records = Array.from({ length: 600 }, () => person('ada', 'Ada'))
  await world.ledger.append(companyId, { records })
  await world.ledger.append(companyId, { records })
  expect((await eraseSubject(world.ledger, companyId, 'ada')).positions).toHaveLength(1200)
  await world.ledger.append(companyId, { records: [person('ada', 'Ada again')] })
  expect((await verifyStored({ ...world, keyring }, companyId)).firstBreak).toBeNull()
  expect((await privateParts(companyId, [2401]))[0]?.data).toBe('{"name":"Ada again"}')
})

test('erasing a record removes data and salts for good, and its key still answers with the receipt', async () => {
  const companyId = await world.company()
  const input = { records: [record({ key: 'a', private: { subject: 'p', data: { name: 'Ada' } } })] }
  const first = await world.ledger.append(companyId, input)
  expect((await eraseRecords(world.ledger, companyId, [1])).positions).toEqual([1])
  expect(await stored(companyId, 1)).toMatchObject({ data: null, packed: null, salt: null, private: null })
  const again = await world.ledger.append(companyId, input)
  expect(again.records[0]).toMatchObject({ id: first.records[0]?.id, duplicate: true, data: null })
  expect((await verifyStored({ ...world, keyring }, companyId)).firstBreak).toBeNull()
  expect(await exported(companyId, { private: true })).toMatchObject({ findings: [] })

  await expect(eraseRecords(world.ledger, companyId, [2])).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
  await expect(eraseRecords(world.ledger, companyId, [99])).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('the commitment of an erased payload cannot be guessed from a dictionary', async () => {
  const companyId = await world.company()
  const dictionary = Array.from({ length: 1000 }, (_, i) => `{"pin":"${String(i).padStart(4, '0')}"}`)
  await world.ledger.append(companyId, { records: [record({ data: { pin: '0042' } })] })
  const { salt, data_commitment: committed } = await stored(companyId, 1)
  const matches = (with_: Buffer) => dictionary.filter((guess) => commitment(with_, guess).equals(committed))
  expect(matches(salt)).toEqual(['{"pin":"0042"}'])
  await eraseRecords(world.ledger, companyId, [1])
  const after = await stored(companyId, 1)
  // What is left of the record: no 32 bytes of it are the salt.
  const left = ['data_commitment', 'leaf', 'previous_leaf'].map((column) => after[column] as Buffer)
  expect([...left, Buffer.alloc(32)].flatMap(matches)).toEqual([])
})

describe('whatever is changed in the database is found', () => {
  const harms: [what: string, sql: string][] = [
    ['kind', `update ledger_records set kind = 'x.y' where position = 2`],
    ['source', `update ledger_records set source = 'x' where position = 2`],
    ['stream', `update ledger_records set stream = 'x' where position = 2`],
    ['version', `update ledger_records set version = 999 where position = 2`],
    ['recorded_at', `update ledger_records set recorded_at = '2027-01-01T00:00:00.000Z' where position = 2`],
    ['key', `update ledger_records set key = 'x' where position = 2`],
    [
      'header',
      `update ledger_records set header = replace(header, 'shop', 'shoq'), source = 'shoq' where position = 2`,
    ],
    ['data', `update ledger_records set data = replace(data, '12.50', '12.51') where position = 2`],
    [
      'packed data',
      `update ledger_records set packed = set_byte(packed, 20, get_byte(packed, 20) # 1) where position = 3`,
    ],
    ['salt', `update ledger_records set salt = set_byte(salt, 0, get_byte(salt, 0) # 1) where position = 2`],
    [
      'data_commitment',
      `update ledger_records set data_commitment = set_byte(data_commitment, 9, get_byte(data_commitment, 9) # 1) where position = 2`,
    ],
    [
      'private',
      `update ledger_records set private = set_byte(private, 40, get_byte(private, 40) # 1) where position = 4`,
    ],
    ['private_subject', `update ledger_records set private_subject = 'other' where position = 4`],
    [
      'private_commitment',
      `update ledger_records set private_commitment = set_byte(private_commitment, 1, get_byte(private_commitment, 1) # 1) where position = 4`,
    ],
    ['leaf', `update ledger_records set leaf = set_byte(leaf, 31, get_byte(leaf, 31) # 1) where position = 2`],
    [
      'previous_leaf',
      `update ledger_records set previous_leaf = set_byte(previous_leaf, 5, get_byte(previous_leaf, 5) # 1) where position = 2`,
    ],
    ['batch_id', `update ledger_records set batch_id = 77 where position = 2`],
    ['a payload without erasure', `update ledger_records set data = null, salt = null where position = 2`],
    [
      'a private part without erasure',
      `update ledger_records set private = null, private_subject = null where position = 4`,
    ],
    ['a removed record', `delete from ledger_records where position = 2`],
    ['a cut tail', `delete from ledger_records where position = 299`],
    [
      'a cut tail and head',
      `update ledger_heads set size = 299, leaf = (select previous_leaf from ledger_records r where r.position = 299 and r.company_id = ledger_heads.company_id)`,
    ],
    [
      'swapped records',
      `update ledger_records set position = case position when 298 then 1000 else 298 end where position in (298, 299)`,
    ],
    ['a head', `update ledger_heads set leaf = set_byte(leaf, 0, get_byte(leaf, 0) # 1)`],
    ['a tile', `update ledger_tiles set hashes = set_byte(hashes, 5000, get_byte(hashes, 5000) # 1)`],
    ["a tile's root", `update ledger_tiles set root = set_byte(root, 5, get_byte(root, 5) # 1)`],
    ["a checkpoint's size", `update ledger_checkpoints set note = replace(note, E'\\n300\\n', E'\\n299\\n')`],
    [
      "a checkpoint's signature",
      `update ledger_checkpoints set note = overlay(note placing 'AAAA' from length(note) - 20)`,
    ],
    ["a checkpoint's place", `update ledger_checkpoints set size = 299`],
    [
      "a subject's key",
      `update ledger_subjects set wrapped_key = set_byte(wrapped_key, 30, get_byte(wrapped_key, 30) # 1)`,
    ],
  ]
  let companyId: CompanyId
  beforeAll(async () => {
    companyId = await world.company()
    await world.ledger.append(companyId, {
      records: [
        record(),
        record(),
        record({ data: { text: 'x'.repeat(20_000) } }),
        person('p', 'Ada'),
        ...Array.from({ length: 295 }, () => record()),
      ],
    })
    await signer.sign(companyId)
  })
  test.each(harms)('%s', async (_, statement) => {
    const harmed = new Error('undo')
    let firstBreak: unknown
    // In a transaction that is rolled back; the verification reads through it.
    await world.store
      .transact(companyId, async (tx) => {
        await tx.unsafe(
          statement.replace(
            / where (?!r\.)|$/,
            (end) => ` where company_id = '${companyId}'${end === '' ? '' : ' and '}`,
          ),
        )
        const inside = { ...world.store, onPrimary: (_shard: unknown, fn: (sql: never) => unknown) => fn(tx as never) }
        firstBreak = (await verifyStored({ ...world, store: inside as never, keyring }, companyId)).firstBreak
        throw harmed
      })
      .catch((error: unknown) => {
        if (error !== harmed) throw error
      })
    expect(firstBreak).not.toBeNull()
  })

  test('and nothing is found where nothing was changed', async () => {
    expect((await verifyStored({ ...world, keyring }, companyId)).firstBreak).toBeNull()
    expect(await verifyStored({ ...world, keyring }, companyId, { from: 100, until: 200 })).toEqual({
      companyId,
      from: 100,
      until: 200,
      firstBreak: null,
    })
  })
})

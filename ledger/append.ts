import { randomBytes } from 'node:crypto'
import { recordId, type CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'
import { commitment, hashBytes, zeroHash } from './entry.ts'
import { pack } from './pack.ts'
import type { PreparedItem, PreparedRecord } from './prepare.ts'
import type { SubjectKey } from './private/subject-keys.ts'
import { seal } from './private/seal.ts'
import type { AppendedRecord } from './record.ts'

export interface AppendCall {
  readonly companyId: CompanyId
  readonly deployment: string
  /** The server's clock, in the ledger's format. */
  readonly now: string
  /** Whether a ledger that does not exist begins with this. */
  readonly create: boolean
  readonly packFromBytes: number
  /** The number of schemas that the items were validated under; null where none apply. */
  readonly schemas: number | null
  /** The key of every subject that the items name. */
  readonly subjectKeys: ReadonlyMap<string, SubjectKey>
}

/** One append, all of it or nothing. */
export interface AppendItem extends PreparedItem {
  /** Positions at which the caller found records with the same key and the same content, by index. */
  readonly known?: ReadonlyMap<number, number>
}

export type AppendOutcome =
  /** `null`: the record has been appended before and is at `duplicates`' position. */
  | { kind: 'appended'; records: (AppendedRecord | null)[]; duplicates: ReadonlyMap<number, number> }
  | { kind: 'version'; stream: string; expected: number; actual: number }
  /** The key of the record at `index` was used for other content. */
  | { kind: 'key'; index: number }
  /** Whether this is a repetition has to be found out with the stored record at hand. */
  | { kind: 'compare' }

export type AppendAnswer =
  | { kind: 'done'; outcomes: AppendOutcome[] }
  /** There is no such ledger. */
  | { kind: 'absent' }
  /** A subject was erased: its records need another key. */
  | { kind: 'rekey' }
  /** Other schemas hold: validate again. */
  | { kind: 'schemas' }

/**
 * Appends items to one ledger in one statement, with one outcome per item. MUST be the last statement of its transaction:
 * the chain's lock is held until commit. A transaction that cannot go on without an item has to roll back itself.
 * @throws AppError STALE_EPOCH
 */
export async function appendItems(
  sql: ShardSql,
  call: AppendCall,
  items: readonly AppendItem[],
): Promise<AppendAnswer> {
  const records = items.flatMap((item) => item.records)
  const salts = randomBytes(records.length * hashBytes)
  const commitments = Buffer.allocUnsafe(salts.length)
  for (const [index, record] of records.entries()) {
    const at = index * hashBytes
    commitment(salts.subarray(at, at + hashBytes), record.data).copy(commitments, at)
  }
  const packed = records.map(({ data }) =>
    data.length * 3 < call.packFromBytes || Buffer.byteLength(data) < call.packFromBytes ? null : pack(data),
  )
  const secrets = records.some((record) => record.private !== null) ? sealAll(records, call.subjectKeys) : null
  const expected = items.flatMap((item, index) => item.expected.map((one) => ({ ...one, item: index + 1 })))
  const known = items.some((item) => (item.known?.size ?? 0) > 0)
    ? items.flatMap((item) => item.records.map((_, index) => item.known?.get(index) ?? ''))
    : null

  const [row] = await sql<[AnswerRow]>`
    select * from ledger_append(
      ${call.companyId}, ${call.deployment}, ${call.now}, ${call.create}, ${call.schemas},
      ${intArray(items.map((item) => item.records.length))}::text::integer[],
      ${lines(records, (record) => record.kind)}, ${lines(records, (record) => record.source)},
      ${lines(records, (record) => record.stream)},
      ${records.some(({ key }) => key !== null) ? lines(records, (record) => record.key ?? '') : null},
      ${lines(records, (record) => record.beforeTime)}, ${lines(records, (record) => record.beforeVersion)},
      ${lines(records, (record, index) => (packed[index] === null ? record.data : ''))},
      ${packed.some((one) => one !== null) ? byteaArray(packed) : null}::text::bytea[],
      ${salts}, ${commitments},
      ${secrets && byteaArray(secrets.sealed)}::text::bytea[],
      ${secrets && lines(records, (record) => record.private?.subject ?? '')},
      ${secrets && secrets.keyIds.join('\n')}, ${secrets && secrets.commitments},
      ${known && known.join('\n')},
      ${expected.length === 0 ? null : intArray(expected.map(({ item }) => item))}::text::integer[],
      ${expected.length === 0 ? null : expected.map(({ stream }) => stream).join('\n')},
      ${expected.length === 0 ? null : intArray(expected.map(({ version }) => version))}::text::bigint[]
    )`
  if (row.status !== 'done') return { kind: row.status }

  let number = 0
  let appended = 0
  let previousLeaf = row.previous
  const outcomes = items.map((item, itemIndex): AppendOutcome => {
    const start = number
    number += item.records.length
    const detail = row.details?.[itemIndex] ?? 0
    switch (row.outcomes[itemIndex]) {
      case 'appended':
        break
      case 'conflict': {
        const { stream, version } = expected[detail - 1] as (typeof expected)[number]
        return { kind: 'version', stream, expected: version, actual: row.actuals?.[itemIndex] ?? 0 }
      }
      case 'key':
        return { kind: 'key', index: detail - 1 - start }
      default:
        return { kind: 'compare' }
    }
    const duplicates = new Map<number, number>()
    const batchId = row.first + appended
    const stored = item.records.map((record, index): AppendedRecord | null => {
      const duplicateAt = row.duplicates?.[start + index] ?? null
      if (duplicateAt !== null) {
        duplicates.set(index, duplicateAt)
        return null
      }
      const version = row.versions?.[appended] ?? 0
      const leaf = row.leaves?.subarray(appended * hashBytes, (appended + 1) * hashBytes) ?? zeroHash
      const position = row.first + appended
      appended += 1
      const result = {
        id: recordId(call.companyId, position),
        companyId: call.companyId,
        position,
        batchId,
        kind: record.kind,
        source: record.source,
        stream: record.stream,
        version,
        data: record.data,
        occurredAt: record.occurredAt,
        recordedAt: row.at,
        actor: record.actor,
        key: record.key,
        causation: record.causation,
        header: `${record.beforeTime}${row.at}${record.beforeVersion}${version}}`,
        leaf,
        previousLeaf,
        duplicate: false,
      }
      previousLeaf = leaf
      return result
    })
    return { kind: 'appended', records: stored, duplicates }
  })
  return { kind: 'done', outcomes }
}

interface AnswerRow {
  status: AppendAnswer['kind']
  first: number
  previous: Buffer
  at: string
  outcomes: ('appended' | 'conflict' | 'key' | 'compare')[]
  details: (number | null)[] | null
  actuals: (number | null)[] | null
  duplicates: (number | null)[] | null
  versions: number[] | null
  leaves: Buffer | null
}

function sealAll(
  records: readonly PreparedRecord[],
  keys: ReadonlyMap<string, SubjectKey>,
): { sealed: (Buffer | null)[]; keyIds: string[]; commitments: Buffer } {
  const commitments = Buffer.alloc(records.length * hashBytes)
  const keyIds: string[] = []
  const sealed = records.map((record, index) => {
    const key = record.private === null ? undefined : keys.get(record.private.subject)
    keyIds.push(key?.keyId ?? '')
    if (record.private === null || key === undefined) return null
    const salt = randomBytes(hashBytes)
    commitment(salt, record.private.text).copy(commitments, index * hashBytes)
    return seal(key.key, { salt, text: record.private.text })
  })
  return { sealed, keyIds, commitments }
}

const lines = (records: readonly PreparedRecord[], text: (record: PreparedRecord, index: number) => string): string =>
  records.map(text).join('\n')

const intArray = (numbers: readonly number[]): string => `{${numbers.join(',')}}`

const byteaArray = (values: readonly (Buffer | null)[]): string =>
  `{${values.map((value) => (value === null ? 'null' : `"\\\\x${value.toString('hex')}"`)).join(',')}}`

import type { CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'
import type { AppendItem } from './append.ts'
import { commitment } from './entry.ts'
import type { PreparedRecord } from './prepare.ts'
import { open } from './private/seal.ts'
import type { SubjectKeys } from './private/subject-keys.ts'

export type Replay =
  /** All of it was appended before, at these positions. */
  | { kind: 'repeated'; positions: number[] }
  /** The records of `known` were appended before, the others not. */
  | { kind: 'partly'; known: Map<number, number> }
  /** The key of the record at `index` was used for other content. */
  | { kind: 'key'; index: number }

/**
 * Finds out whether an item repeats an earlier append, with the stored records at hand: by hashing the new content with
 * the old salts. What was erased cannot be compared and counts as the same. Records without a key are recognized by their
 * place beside the keyed ones they were appended with.
 */
export async function findReplay(
  sql: ShardSql,
  keys: SubjectKeys,
  companyId: CompanyId,
  item: AppendItem,
): Promise<Replay> {
  const wanted = item.records.flatMap(({ key }) => (key === null ? [] : [key]))
  const keyed = await sql<StoredRow[]>`
    select position, key, header, recorded_at, version, salt, data_commitment, private,
      private_subject, private_commitment
    from ledger_records where company_id = ${companyId} and key = any(${wanted}::text[])`
  const byKey = new Map(keyed.map((row) => [row.key, row]))
  const mixed = wanted.length < item.records.length
  let stored: (StoredRow | undefined)[] = item.records.map(({ key }) => (key === null ? undefined : byKey.get(key)))

  if (mixed) {
    const anchor = stored.findIndex((row) => row !== undefined)
    const start = (stored[anchor]?.position ?? 0) - anchor
    const rows = await sql<StoredRow[]>`
      select position, key, header, recorded_at, version, salt, data_commitment, private,
        private_subject, private_commitment
      from ledger_records
      where company_id = ${companyId} and position between ${start} and ${start + item.records.length - 1}`
    const byPosition = new Map(rows.map((row) => [row.position, row]))
    stored = item.records.map((_, index) => byPosition.get(start + index))
    const foreign = stored.findIndex((row) => row === undefined)
    if (foreign >= 0) return { kind: 'key', index: anchor }
  }

  const known = new Map<number, number>()
  for (const [index, row] of stored.entries()) {
    if (row === undefined) continue
    if (!(await sameContent(sql, keys, companyId, row, item.records[index] as PreparedRecord))) {
      return { kind: 'key', index }
    }
    known.set(index, row.position)
  }
  return known.size === item.records.length
    ? { kind: 'repeated', positions: [...known.values()] }
    : { kind: 'partly', known }
}

interface StoredRow {
  position: number
  key: string | null
  header: string
  recorded_at: string
  version: number
  salt: Buffer | null
  data_commitment: Buffer
  private: Buffer | null
  private_subject: string | null
  private_commitment: Buffer | null
}

async function sameContent(
  sql: ShardSql,
  keys: SubjectKeys,
  companyId: CompanyId,
  row: StoredRow,
  record: PreparedRecord,
): Promise<boolean> {
  if (row.header !== `${record.beforeTime}${row.recorded_at}${record.beforeVersion}${row.version}}`) return false
  if (row.salt !== null && !commitment(row.salt, record.data).equals(row.data_commitment)) return false
  if ((row.private_commitment === null) !== (record.private === null)) return false
  if (row.private === null || row.private_subject === null || record.private === null) return true
  if (row.private_subject !== record.private.subject) return false
  const [key] = await keys.find(sql, [{ companyId, subject: row.private_subject }])
  if (key === undefined) return true
  const { salt } = open(key.key, row.private)
  return row.private_commitment !== null && commitment(salt, record.private.text).equals(row.private_commitment)
}

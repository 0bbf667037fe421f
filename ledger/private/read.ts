import type { CompanyId } from '../../core/ids.ts'
import type { ShardSql } from '../../store/store.ts'
import { open } from './seal.ts'
import { createSubjectKeys } from './subject-keys.ts'

export interface ReadPrivatePart {
  readonly companyId: CompanyId
  readonly position: number
  readonly subject: string
  /** RFC 8785 text. */
  readonly data: string
}

/**
 * Private parts of records, opened; what has none or was erased is left out. Two statements for many records. Whether the
 * caller may read them is for the caller to check (the right `private.read`). @throws AppError LEDGER_CORRUPT
 */
export async function readPrivateParts(
  sql: ShardSql,
  wrappingKey: Buffer,
  ids: readonly { readonly companyId: CompanyId; readonly position: number }[],
): Promise<ReadPrivatePart[]> {
  const rows = await sql<{ companyId: CompanyId; position: number; subject: string; sealed: Buffer }[]>`
    select r.company_id as "companyId", r.position, r.private_subject as subject, r.private as sealed
    from unnest(${ids.map(({ companyId }) => companyId)}::text[], ${ids.map(({ position }) => position)}::bigint[])
      as wanted (company_id, position)
    join ledger_records r on r.company_id = wanted.company_id and r.position = wanted.position
    where r.private is not null and r.private_subject is not null`
  const named = (companyId: CompanyId, subject: string): string => `${companyId}\n${subject}`
  const subjects = new Map(rows.map(({ companyId, subject }) => [named(companyId, subject), { companyId, subject }]))
  const keys = await createSubjectKeys(wrappingKey).find(sql, [...subjects.values()])
  const byName = new Map(keys.map(({ companyId, subject, key }) => [named(companyId, subject), key]))
  return rows.flatMap(({ companyId, position, subject, sealed }) => {
    const key = byName.get(named(companyId, subject))
    // Erased between the two statements.
    return key === undefined ? [] : [{ companyId, position, subject, data: open(key, sealed).text }]
  })
}

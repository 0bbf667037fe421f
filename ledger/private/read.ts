import type { CompanyId } from '../../core/ids.ts'
import type { ShardSql } from '../../store/store.ts'
import { decrypt, open } from './seal.ts'

export interface ReadPrivatePart {
  readonly companyId: CompanyId
  readonly position: number
  readonly subject: string
  /** RFC 8785 text. */
  readonly data: string
}

/**
 * Private parts of records, opened; what has none or was erased is left out. One statement for many records. Whether the
 * caller may read them is for the caller to check (the right `private.read`). @throws AppError LEDGER_CORRUPT
 */
export async function readPrivateParts(
  sql: ShardSql,
  wrappingKey: Buffer,
  ids: readonly { readonly companyId: CompanyId; readonly position: number }[],
): Promise<ReadPrivatePart[]> {
  const rows = await sql<
    { companyId: CompanyId; position: number; subject: string; sealed: Buffer; keyId: string; wrapped: Buffer }[]
  >`
    select r.company_id as "companyId", r.position, r.private_subject as subject, r.private as sealed,
      k.key_id::text as "keyId", k.wrapped_key as wrapped
    from unnest(${ids.map(({ companyId }) => companyId)}::text[], ${ids.map(({ position }) => position)}::bigint[])
      as wanted (company_id, position)
    join ledger_records r on r.company_id = wanted.company_id and r.position = wanted.position
    join ledger_subjects k on k.company_id = r.company_id and k.subject = r.private_subject
    where r.private is not null`
  const keys = new Map<string, Buffer>()
  return rows.map(({ companyId, position, subject, sealed, keyId, wrapped }) => {
    const key = keys.get(keyId) ?? decrypt(wrappingKey, wrapped)
    keys.set(keyId, key)
    return { companyId, position, subject, data: open(key, sealed).text }
  })
}

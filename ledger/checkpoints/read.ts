import type { CompanyId } from '../../core/ids.ts'
import type { ShardSql } from '../../store/store.ts'
import type { StoredCheckpoint } from './signer.ts'

/**
 * For each ledger the smallest stored checkpoint that is at least so large; without a size the largest one. One statement
 * for many ledgers; where there is none, none is in the answer. Index: the primary key.
 */
export async function readCheckpoints(
  sql: ShardSql,
  wanted: readonly { readonly companyId: CompanyId; readonly atLeast: number | null }[],
): Promise<(StoredCheckpoint & { readonly atLeast: number | null })[]> {
  const rows = await sql<{ company_id: CompanyId; at_least: number | null; size: number; note: string }[]>`
    select w.company_id, w.at_least, c.size, c.note
    from unnest(${wanted.map(({ companyId }) => companyId)}::text[], ${wanted.map(({ atLeast }) => atLeast)}::bigint[])
      as w (company_id, at_least),
    lateral (
      (select size, note from ledger_checkpoints
        where w.at_least is not null and company_id = w.company_id and size >= w.at_least order by size limit 1)
      union all
      (select size, note from ledger_checkpoints
        where w.at_least is null and company_id = w.company_id order by size desc limit 1)
    ) c`
  return rows.map((row) => ({
    companyId: row.company_id,
    atLeast: row.at_least,
    size: row.size,
    note: row.note,
  }))
}

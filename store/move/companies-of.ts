import type { CompanyId, ShardId } from '../../core/ids.ts'
import type { Sql, TransactionSql } from 'postgres'
import type { Store } from '../store.ts'

const pageSize = 5_000

/** Companies that lie on a shard and fulfil a condition on their id. Index: the primary key of ledger_heads, in pages. */
export function companiesOf(
  store: Store,
  shard: ShardId,
  matches: (companyId: CompanyId) => boolean,
): Promise<CompanyId[]> {
  return store.onPrimary(shard, (sql) => listCompanies(sql, matches))
}

/** Every company has a ledger, so the ledgers' heads are the list. */
export async function listCompanies(
  sql: Sql | TransactionSql,
  matches: (companyId: CompanyId) => boolean,
): Promise<CompanyId[]> {
  const found: CompanyId[] = []
  let after = ''
  for (;;) {
    const page = await sql<{ id: CompanyId }[]>`
      select company_id as id from ledger_heads where here and company_id > ${after} order by company_id limit ${pageSize}`
    for (const { id } of page) if (matches(id)) found.push(id)
    const last = page.at(-1)
    if (last === undefined || page.length < pageSize) return found
    after = last.id
  }
}

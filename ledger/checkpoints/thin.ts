import type { CompanyId } from '../../core/ids.ts'
import type { ShardSql, ShardTx } from '../../store/store.ts'

/** The newest sizes of which every checkpoint is kept, twice; and how finely older ones are kept, as a share of their distance. */
const share = 256

/**
 * Deletes older checkpoints so that they get rarer with their distance from the newest: of those `d` records behind it one is
 * kept for every `d / 256` records, the largest; of the last 512 records all. So a ledger of a billion records, signed at
 * each, keeps some 6,000. The largest of each stretch is what "the smallest that is at least so large" asks for, and a note
 * that somebody kept needs no row here: consistency is proven from tiles. Stretches are halves of each other, so thinning
 * again later deletes what was thinned now no differently. Index: the primary key.
 */
export async function thinCheckpoints(sql: ShardSql | ShardTx, companyId: CompanyId, newest: number): Promise<void> {
  await sql`
    delete from ledger_checkpoints c
    using (
      select o.size,
        -- The power of two at or below distance / 256.
        1::bigint << (length(ltrim(((${newest}::bigint - o.size) / ${share})::bit(64)::text, '0')) - 1) as width
      from ledger_checkpoints o
      where o.company_id = ${companyId} and o.size <= ${newest}::bigint - ${2 * share}
    ) old
    where c.company_id = ${companyId} and c.size = old.size and exists (
      select from ledger_checkpoints larger
      where larger.company_id = ${companyId} and larger.size > old.size
        and larger.size < (old.size / old.width + 1) * old.width
    )`
}

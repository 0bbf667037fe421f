import type { CompanyId } from '../../core/ids.ts'
import { commitment, leafOf, originOf, textHash, zeroHash } from '../../ledger/entry.ts'
import type { Store } from '../../store/store.ts'

/** The keys of a ledger's records in order, after computing every hash anew from what lies on the company's shard. */
export function verifyStored(store: Store, companyId: CompanyId): Promise<(string | null)[]> {
  return store.onPrimary(store.shardOf(companyId), async (sql) => {
    const [head] = await sql<{ size: number; leaf: Buffer; here: boolean }[]>`
      select size, leaf, here from ledger_heads where company_id = ${companyId}`
    const rows = await sql<Row[]>`
      select position, key, header, data, salt, data_commitment as committed, leaf from ledger_records
      where company_id = ${companyId} order by position`
    let previousLeaf: Buffer = zeroHash
    for (const [position, row] of rows.entries()) {
      if (row.position !== position) throw new Error(`position ${position} is missing`)
      if (!commitment(row.salt, row.data).equals(row.committed)) throw new Error(`the data at ${position} was changed`)
      previousLeaf = leafOf({
        origin: originOf(store.deployment, companyId),
        position,
        previousLeaf,
        headerHash: textHash(row.header),
        dataCommitment: row.committed,
        privateCommitment: zeroHash,
      })
      if (!row.leaf.equals(previousLeaf)) throw new Error(`the chain is broken at ${position}`)
    }
    if (head?.here !== true || head.size !== rows.length || !head.leaf.equals(previousLeaf)) {
      throw new Error('the head is not the last record')
    }
    return rows.map(({ key }) => key)
  })
}

interface Row {
  position: number
  key: string | null
  header: string
  data: string
  salt: Buffer
  committed: Buffer
  leaf: Buffer
}

import { createHash } from 'node:crypto'
import { AppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { Store, StoreScope } from '../../store/store.ts'

/**
 * The least that is a ledger to the mover: a chain of records whose head is locked last, in the ledger's own tables. The
 * ledger proper stands above the store and is moved in its own tests.
 */
export function createChain(store: Store) {
  return {
    /** Appends a record that carries `key`; one that is there already is left alone. Creates the chain. */
    async append(companyId: CompanyId, key: string, scope?: StoreScope): Promise<number> {
      const { value } = await store.transact(
        companyId,
        async (tx) => {
          let [head] = await tx<
            Head[]
          >`select size, leaf, here from ledger_heads where company_id = ${companyId} for update`
          if (head === undefined) {
            await store.claim(tx, companyId)
            await tx`insert into ledger_heads (company_id) values (${companyId}) on conflict do nothing`
            ;[head] = await tx<
              Head[]
            >`select size, leaf, here from ledger_heads where company_id = ${companyId} for update`
          }
          if (head === undefined || !head.here) throw new AppError('STALE_EPOCH', 'moved')
          const [known] = await tx<{ position: number }[]>`
            select position from ledger_records where company_id = ${companyId} and key = ${key}`
          if (known !== undefined) return known.position
          const leaf = leafOf(head.leaf, key)
          await tx`
            insert into ledger_records (company_id, position, batch_id, kind, source, stream, version, recorded_at, key,
              header, data_commitment, leaf, previous_leaf)
            values (${companyId}, ${head.size}, ${head.size}, 'test', 's', 'main', ${head.size + 1}, '', ${key},
              '{}', '\\x00', ${leaf}, ${head.leaf})`
          await tx`
            update ledger_heads set size = ${head.size + 1}, leaf = ${leaf} where company_id = ${companyId}`
          return head.size
        },
        scope,
      )
      return value
    },
    /** The keys in order, after checking every link. */
    async verify(companyId: CompanyId): Promise<string[]> {
      return store.onPrimary(store.shardOf(companyId), async (sql) => {
        const [head] = await sql<Head[]>`select size, leaf, here from ledger_heads where company_id = ${companyId}`
        const rows = await sql<{ position: number; key: string; leaf: Buffer; previous: Buffer }[]>`
          select position, key, leaf, previous_leaf as previous from ledger_records
          where company_id = ${companyId} order by position`
        let leaf: Buffer = Buffer.alloc(32)
        for (const [i, row] of rows.entries()) {
          if (row.position !== i || !row.previous.equals(leaf)) throw new Error(`the chain is broken at ${i}`)
          leaf = leafOf(leaf, row.key)
          if (!row.leaf.equals(leaf)) throw new Error(`the record at ${i} is not what was appended`)
        }
        if (head?.size !== rows.length || !head.leaf.equals(leaf)) throw new Error('the head is not the last record')
        return rows.map(({ key }) => key)
      })
    },
  }
}

interface Head {
  size: number
  leaf: Buffer
  here: boolean
}

const leafOf = (previous: Buffer, key: string): Buffer => createHash('sha256').update(previous).update(key).digest()

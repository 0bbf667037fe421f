import type { ShardId } from '../../core/ids.ts'
import type { Directory } from '../directory.ts'
import type { Store } from '../store.ts'
import { listCompanies } from './companies-of.ts'

/**
 * Gives buckets to another shard, once their companies have moved. Companies that were created in the meantime stay
 * where they are by an override, to be moved after this. Creations in these buckets wait from the first step to the
 * last; run again after a crash in between, it ends what was begun.
 */
export async function flipBuckets(deps: {
  store: Store
  directory: Directory
  source: ShardId
  target: ShardId
  buckets: ReadonlySet<number>
}): Promise<void> {
  const { store, directory, source, target, buckets } = deps
  const numbers = [...buckets]
  const epoch = directory.epoch + 1
  // Nobody is sent to the target before the directory says so.
  await store.onPrimary(
    target,
    (sql) => sql`
      update shard_buckets set owned = true, epoch = ${epoch} where bucket = any (${numbers}::int[])`,
  )
  const behind = await store.onPrimary(source, (sql) =>
    sql.begin(async (tx) => {
      // Waits for creations that are under way; later ones are refused and tried again where the directory then says.
      await tx`select from shard_buckets where bucket = any (${numbers}::int[]) order by bucket for update`
      const companies = await listCompanies(tx, (id) => buckets.has(directory.strategy.bucketOf(id)))
      await tx`
        insert into company_places (company_id, here, epoch)
        select company, true, ${epoch} from unnest(${companies}::text[]) as company
        on conflict do nothing`
      await tx`update shard_buckets set owned = false, epoch = ${epoch} where bucket = any (${numbers}::int[])`
      return companies
    }),
  )
  await store.catalog.begin(async (tx) => {
    await tx`
      insert into company_overrides (company_id, shard, arrived_lsn)
      select company, ${source}, '0/0' from unnest(${behind}::text[]) as company
      on conflict (company_id) do nothing`
    await tx`update buckets set shard = ${target} where bucket = any (${numbers}::int[])`
    await tx`update deployment set epoch = epoch + 1`
  })
}

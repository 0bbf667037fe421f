import type { Sql } from 'postgres'
import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import type { Directory } from './directory.ts'
import { bucketCount } from './placement/strategy.ts'

/**
 * Makes sure that this database is the shard it is taken for, and that it knows which buckets it owns. Writes only the
 * first time. @throws AppError CONFIG_INVALID
 */
export async function prepareShard(sql: Sql, shard: ShardId, directory: Directory): Promise<void> {
  const [state] = await sql<{ deployment: string | null; shard: string | null; buckets: number }[]>`
    select (select count(*) from shard_buckets) as buckets, i.deployment, i.shard
    from (select) as one left join shard_identity as i on true`
  if (state?.deployment == null || state.buckets !== bucketCount) {
    await sql.begin(async (tx) => {
      await tx`
        insert into shard_identity (deployment, shard) values (${directory.deployment}, ${shard}) on conflict do nothing`
      await tx`
        insert into shard_buckets (bucket, owned, epoch)
        select ordinality - 1, owner = ${shard}, ${directory.epoch}
        from unnest(${directory.buckets}::text[]) with ordinality as t (owner, ordinality)
        on conflict do nothing`
    })
    return prepareShard(sql, shard, directory)
  }
  if (state.deployment !== directory.deployment || state.shard !== shard) {
    throw new AppError(
      'CONFIG_INVALID',
      `The server configured for the shard "${shard}" is the shard "${state.shard}" of "${state.deployment}".`,
    )
  }
}

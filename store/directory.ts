import type { Sql, TransactionSql } from 'postgres'
import { AppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import { parseLsn } from '../core/position.ts'
import { createStrategy, placementConfig, type PlacementConfig } from './placement/create-strategy.ts'
import type { PlacementShard, Strategy } from './placement/strategy.ts'
import { regionOf, type ShardConfig } from './shard-config.ts'

export interface DirectoryShard extends PlacementShard {
  readonly generation: number
  /** host:port/database, or null for the first one configured. */
  readonly primaryServer: string | null
}

/** A process's copy of the catalog's directory. Never changed: a newer one takes its place. */
export interface Directory {
  readonly epoch: number
  readonly deployment: string
  readonly strategy: Strategy
  readonly shards: ReadonlyMap<ShardId, DirectoryShard>
  /** The shard of each bucket. */
  readonly buckets: readonly ShardId[]
  readonly overrides: ReadonlyMap<CompanyId, { readonly shard: ShardId; readonly arrivedLsn: bigint }>
}

export function locate(directory: Directory, companyId: CompanyId): ShardId {
  const override = directory.overrides.get(companyId)
  if (override !== undefined) return override.shard
  const shard = directory.buckets[directory.strategy.bucketOf(companyId)]
  if (shard === undefined) throw new AppError('CONFIG_INVALID', 'The directory does not name a shard for every bucket.')
  return shard
}

/** How many companies lie on this shard though their bucket lies elsewhere. */
export function overridesOf({ overrides, buckets, strategy }: Directory, shard: ShardId): number {
  let count = 0
  for (const [company, override] of overrides) {
    if (override.shard === shard && buckets[strategy.bucketOf(company)] !== shard) count += 1
  }
  return count
}

interface DirectoryRow {
  epoch: number
  name: string
  placement: string
  buckets: ShardId[]
  shards: string
  overrides: string
}

/** The whole directory in one statement, hence of one moment. */
export async function loadDirectory(sql: Sql | TransactionSql): Promise<Directory> {
  const [row] = await sql<DirectoryRow[]>`
    select epoch, name, placement,
      (select coalesce(array_agg(shard order by bucket), '{}') from buckets) as buckets,
      (select coalesce(json_agg(json_build_array(name, region, generation, primary_server) order by ordinal, name), '[]')
         from shards) as shards,
      (select coalesce(json_agg(json_build_array(company_id, shard, arrived_lsn)), '[]') from company_overrides)
        as overrides
    from deployment`
  if (row === undefined) throw new AppError('CONFIG_INVALID', 'The catalog holds no deployment.')
  const shards = JSON.parse(row.shards) as [ShardId, string, number, string | null][]
  const overrides = JSON.parse(row.overrides) as [CompanyId, ShardId, string][]
  return {
    epoch: row.epoch,
    deployment: row.name,
    strategy: createStrategy(placementConfig.parse(JSON.parse(row.placement))),
    buckets: row.buckets,
    shards: new Map(
      shards.map(([id, region, generation, primaryServer]) => [id, { id, region, generation, primaryServer }]),
    ),
    overrides: new Map(overrides.map(([company, shard, lsn]) => [company, { shard, arrivedLsn: parseLsn(lsn) }])),
  }
}

export async function loadEpoch(sql: Sql): Promise<number> {
  const [row] = await sql<{ epoch: number }[]>`select epoch from deployment`
  return row?.epoch ?? 0
}

/**
 * Writes the directory at a deployment's first start, and adds shards that are new to it (without buckets, which
 * `rebalance` gives them). Locks the deployment's row, so that processes that start at once take turns.
 * @throws AppError CONFIG_INVALID
 */
export async function initializeDirectory(
  sql: Sql,
  wanted: { deployment: string; placement: PlacementConfig | undefined; shards: readonly ShardConfig[] },
  fallback: PlacementConfig,
): Promise<void> {
  const { deployment, shards } = wanted
  if (!/^[a-z0-9.-]{1,64}$/.test(deployment)) {
    throw new AppError('CONFIG_INVALID', 'The deployment name is 1 to 64 characters of a-z, 0-9, "." and "-".')
  }
  const placement = JSON.stringify(wanted.placement ?? fallback)
  await sql.begin(async (tx) => {
    await tx`insert into deployment (name, placement) values (${deployment}, ${placement}) on conflict do nothing`
    const [known] = await tx<{ name: string; placement: string }[]>`
      select name, placement from deployment for update`
    if (known?.name !== deployment) {
      throw new AppError(
        'CONFIG_INVALID',
        `This deployment is named "${known?.name}" since its first start, and every ledger says so; it cannot become "${deployment}".`,
      )
    }
    if (wanted.placement !== undefined && known.placement !== placement) {
      throw new AppError('CONFIG_INVALID', 'The placement strategy cannot change after the first start.')
    }
    const added = await tx`
      insert into shards (name, ordinal, region)
      select * from unnest(
        ${shards.map(({ name }) => name)}::text[],
        ${shards.map((_, i) => i)}::int[],
        ${shards.map(regionOf)}::text[])
      on conflict do nothing`
    const [buckets] = await tx<{ count: number }[]>`select count(*) from buckets`
    if (buckets?.count === 0) {
      const strategy = createStrategy(placementConfig.parse(JSON.parse(known.placement)))
      const assignment = strategy.assign(shards.map((shard) => ({ id: shard.name, region: regionOf(shard) })))
      await tx`
        insert into buckets (bucket, shard)
        select ordinality - 1, shard from unnest(${assignment}::text[]) with ordinality as t (shard, ordinality)`
    } else if (added.count > 0) {
      await tx`update deployment set epoch = epoch + 1`
    }
    const missing = await tx<{ shard: string }[]>`
      select distinct shard from (select shard from buckets union select shard from company_overrides) as held
      where shard <> all (${shards.map(({ name }) => name)}::text[])`
    if (missing.length > 0) {
      throw new AppError(
        'CONFIG_INVALID',
        `SHARDS does not name ${missing.map(({ shard }) => `"${shard}"`).join(', ')}, which the directory gives companies to.`,
      )
    }
  })
}

import type { Store, StoreScope } from '../../store/store.ts'

export interface ShardHealth {
  readonly name: string
  readonly healthy: boolean
  readonly buckets: number
  readonly replicas: readonly { readonly name: string; readonly healthy: boolean; readonly lagMs: number | null }[]
}

/** Every shard as it is now: its primary is asked, its replicas are as this process last saw them. */
export async function readShards(store: Store, scope: StoreScope): Promise<ShardHealth[]> {
  const [counts, answers] = await Promise.all([
    store.catalog<{ shard: string; buckets: number }[]>`
      select shard, count(*)::int as buckets from buckets group by shard`,
    Promise.all(
      store.shards.map((shard) =>
        store
          .onPrimary(shard, (sql) => sql`select 1`, scope)
          .then(
            () => true,
            () => false,
          ),
      ),
    ),
  ])
  const buckets = new Map(counts.map((row) => [row.shard, row.buckets]))
  const servers = Map.groupBy(store.poolStats(), ({ shard }) => shard)
  return store.shards.map((name, i) => ({
    name,
    healthy: answers[i] ?? false,
    buckets: buckets.get(name) ?? 0,
    replicas: (servers.get(name) ?? [])
      .filter(({ server }) => server !== 'primary')
      .map(({ server, up, lagMs }) => ({
        name: server,
        healthy: up && Number.isFinite(lagMs),
        lagMs: Number.isFinite(lagMs) ? Math.round(lagMs) : null,
      })),
  }))
}

import { loadDirectory, overridesOf } from '../../store/directory.ts'
import type { PoolStats } from '../../store/pool/pool.ts'
import type { Store, StoreScope } from '../../store/store.ts'

export interface ShardHealth {
  readonly name: string
  readonly region: string
  readonly healthy: boolean
  readonly buckets: number
  readonly overrides: number
  readonly pool: PoolStats
  readonly replicas: readonly ReplicaHealth[]
}

export interface ReplicaHealth {
  readonly name: string
  readonly healthy: boolean
  readonly lagMs: number | null
  readonly pool: PoolStats
}

/** Every shard as it is now: its primary is asked, pools and replicas are as this process sees them. */
export async function readShards(store: Store, scope: StoreScope): Promise<ShardHealth[]> {
  const [directory, answers] = await Promise.all([
    loadDirectory(store.catalog),
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
  const stats = store.poolStats()
  return store.shards.flatMap((name, i) => {
    const servers = stats.filter(({ shard }) => shard === name)
    const primary = servers.find(({ server }) => server === 'primary')
    if (primary === undefined) return []
    return {
      name,
      region: directory.shards.get(name)?.region ?? '',
      healthy: answers[i] ?? false,
      buckets: directory.buckets.filter((owner) => owner === name).length,
      overrides: overridesOf(directory, name),
      pool: primary,
      replicas: servers
        .filter((server) => server !== primary)
        .map((server) => ({
          name: server.server,
          healthy: server.inRotation,
          lagMs: Number.isFinite(server.lagMs) ? Math.round(server.lagMs) : null,
          pool: server,
        })),
    }
  })
}

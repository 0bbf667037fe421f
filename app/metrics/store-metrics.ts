import type { Metrics, Sample } from '../../core/metrics.ts'
import type { ServerStats, Store } from '../../store/store.ts'

type Label = 'shard' | 'server'

const labels = ['shard', 'server'] as const

/** Connection pools, servers and replicas, as this process sees them. */
export function addStoreMetrics(metrics: Metrics, store: Pick<Store, 'poolStats' | 'epoch'>): void {
  const add = (
    type: 'gauge' | 'counter',
    name: string,
    help: string,
    value: (stats: ServerStats) => number,
    of: (stats: ServerStats) => boolean = () => true,
  ): void =>
    metrics.observed({ type, name: `ledgerway_${name}`, help, labels }, () =>
      store
        .poolStats()
        .filter(of)
        .map((stats): Sample<Label> => [{ shard: stats.shard, server: stats.server }, value(stats)]),
    )
  const isReplica = ({ server }: ServerStats): boolean => server !== 'primary'

  add('gauge', 'pool_connections_max', 'Connections that the pool may open.', ({ max }) => max)
  add('gauge', 'pool_connections_open', 'Connections that are open.', ({ open }) => open)
  add('gauge', 'pool_connections_in_use', 'Connections at work.', ({ inUse }) => inUse)
  add('gauge', 'pool_waiting', 'Callers that wait for a connection.', ({ waiting }) => waiting)
  add('counter', 'pool_acquired_total', 'Connections given to callers.', ({ acquired }) => acquired)
  add('counter', 'pool_wait_seconds_total', 'Time that callers waited for one.', ({ waitMs }) => waitMs / 1000)
  add('counter', 'pool_refused_total', 'Callers that were refused one: server down, or full.', ({ refused }) => refused)
  add('gauge', 'server_up', '1 while the database server answers.', ({ up }) => Number(up))
  add('gauge', 'replica_in_rotation', '1 while the replica serves reads.', (s) => Number(s.inRotation), isReplica)
  add(
    'gauge',
    'replica_lag_seconds',
    'How far the replica is behind its primary; absent while unknown.',
    ({ lagMs }) => lagMs / 1000,
    (stats) => isReplica(stats) && Number.isFinite(stats.lagMs),
  )
  metrics.observed(
    {
      type: 'gauge',
      name: 'ledgerway_placement_epoch',
      help: 'Version of the directory of companies and shards.',
      labels: [],
    },
    () => [[{}, store.epoch()]],
  )
}

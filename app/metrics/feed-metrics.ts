import type { Metrics, Sample } from '../../core/metrics.ts'
import type { ShardId } from '../../core/ids.ts'
import type { ConsumerLag, FeedLag } from '../../ledger/feed-lag.ts'

type ShardFeed = FeedLag & { readonly shard: ShardId }

/** How far the change feed is, and everybody who reads it: facts of the deployment, told by its workers. */
export function addFeedMetrics(metrics: Metrics, readLags: () => Promise<readonly ShardFeed[]>): void {
  // One question a look, whichever metric is read first.
  let asked: { at: number; lags: Promise<readonly ShardFeed[]> } | undefined
  const lags = (): Promise<readonly ShardFeed[]> => {
    if (asked === undefined || performance.now() - asked.at > 500) asked = { at: performance.now(), lags: readLags() }
    return asked.lags
  }
  const ofShard = (name: string, help: string, value: (lag: FeedLag) => number): void =>
    metrics.observed({ type: 'gauge', name: `ledgerway_feed_${name}`, help, labels: ['shard'] }, async () =>
      (await lags()).map((lag): Sample<'shard'> => [{ shard: lag.shard }, value(lag)]),
    )
  const ofConsumer = (name: string, help: string, value: (lag: ConsumerLag) => number): void =>
    metrics.observed(
      { type: 'gauge', name: `ledgerway_feed_consumer_${name}`, help, labels: ['shard', 'consumer'] },
      async () =>
        (await lags()).flatMap(({ shard, consumers }) =>
          consumers.map((lag): Sample<'shard' | 'consumer'> => [{ shard, consumer: lag.consumer }, value(lag)]),
        ),
    )

  ofShard('position', 'The last position given out.', ({ head }) => head)
  ofShard('rows', 'Rows of the feed that are kept.', ({ kept }) => kept)
  ofShard('waiting', 'Changes that wait for the relay, counted up to 10,000.', ({ waiting }) => waiting)
  ofConsumer('behind', 'Rows of the feed that the consumer has still to handle.', ({ behind }) => behind)
  ofConsumer('behind_seconds', 'Age of the oldest of them.', ({ behindMs }) => behindMs / 1000)
  ofConsumer('failures', 'Failures in a row, until now.', ({ failures }) => failures)
}

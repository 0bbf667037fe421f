import type { ShardId } from '../core/ids.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'

/** How far one durable consumer is behind the feed of one shard. */
export interface ConsumerLag {
  readonly consumer: string
  /** Feed rows it has still to handle. */
  readonly behind: number
  /** Age of the oldest of them; 0 where there is none. */
  readonly behindMs: number
  /** In a row, until now. */
  readonly failures: number
  readonly lastError: string | null
}

/** Where the feed of one shard stands. */
export interface FeedLag {
  /** The last position given out. */
  readonly head: number
  /** Rows that are kept now. */
  readonly kept: number
  /** Changes that wait for the relay, as far as `waitingCounted`. */
  readonly waiting: number
  readonly consumers: readonly ConsumerLag[]
}

const waitingCounted = 10_000

/** For health, metrics and administrators. One statement; indexes: feed_pkey, once a consumer, and the primary keys. */
export async function feedLag(sql: ShardSql): Promise<FeedLag> {
  const rows = await sql<
    ({ head: number; kept: number; waiting: number } & (ConsumerLag | { consumer: null; lastError: null }))[]
  >`
    select s.position as head, s.position - s.trimmed as kept,
      (select count(*) from (select from feed_dirty limit ${waitingCounted}) d)::integer as waiting,
      c.consumer, (s.position - c.position)::float8 as behind,
      coalesce(
        (select extract(epoch from clock_timestamp() - f.at) * 1000 from feed f
         where f.position > c.position order by f.position limit 1), 0)::float8 as "behindMs",
      c.failures, c.last_error as "lastError"
    from feed_state s left join feed_cursors c on true
    order by c.consumer`
  const [state] = rows
  return {
    head: state?.head ?? 0,
    kept: state?.kept ?? 0,
    waiting: state?.waiting ?? 0,
    consumers: rows.flatMap(({ head: _head, kept: _kept, waiting: _waiting, ...lag }) =>
      lag.consumer === null ? [] : lag,
    ),
  }
}

/** That of every shard which answers; those that do not are left out. */
export async function feedLags(store: Store, scope?: StoreScope): Promise<(FeedLag & { readonly shard: ShardId })[]> {
  const answers = await Promise.allSettled(
    store.shards.map(async (shard) => ({ shard, ...(await store.onPrimary(shard, feedLag, scope)) })),
  )
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
}

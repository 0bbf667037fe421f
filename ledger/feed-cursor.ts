import type { ShardSql } from '../store/store.ts'

/** Rows of `feed_cursors`: one a consumer. Each function is one statement on the primary key. Times are the database's. */

export async function ensureCursor(sql: ShardSql, consumer: string, begin: 'first' | 'now'): Promise<void> {
  await sql`
    insert into feed_cursors (consumer, position)
    select ${consumer}, case when ${begin} = 'now' then position else trimmed end from feed_state
    on conflict (consumer) do nothing`
}

/** The cursor's position if the lease is now `owner`'s; undefined, and nothing written, while another process holds it or
 * the cursor is at the feed's end. */
export async function leaseCursor(
  sql: ShardSql,
  consumer: string,
  owner: string,
  leaseMs: number,
): Promise<number | undefined> {
  const [row] = await sql<{ position: number }[]>`
    update feed_cursors
    set owner = ${owner}, leased_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000})
    where consumer = ${consumer} and (owner is null or owner = ${owner} or leased_until < clock_timestamp())
      and position < (select s.position from feed_state s)
    returning position`
  return row?.position
}

/** False where the lease was lost. */
export async function renewLease(sql: ShardSql, consumer: string, owner: string, leaseMs: number): Promise<boolean> {
  const { count } = await sql`
    update feed_cursors set leased_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000})
    where consumer = ${consumer} and owner = ${owner}`
  return count === 1
}

/** Moves the cursor, never backwards, and renews the lease. False where the lease was lost: then nothing is moved. */
export async function advanceCursor(
  sql: ShardSql,
  consumer: string,
  owner: string,
  position: number,
  leaseMs: number,
): Promise<boolean> {
  const { count } = await sql`
    update feed_cursors
    set position = greatest(position, ${position}), failures = 0, last_error = null, advanced_at = clock_timestamp(),
      leased_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000})
    where consumer = ${consumer} and owner = ${owner}`
  return count === 1
}

/** For operators: what it failed with, without what it failed on. */
export async function noteFailure(sql: ShardSql, consumer: string, owner: string, error: unknown): Promise<void> {
  const text = (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 300)
  await sql`
    update feed_cursors set failures = failures + 1, last_error = ${text}
    where consumer = ${consumer} and owner = ${owner}`
}

export async function releaseCursor(sql: ShardSql, consumer: string, owner: string): Promise<void> {
  await sql`update feed_cursors set owner = null, leased_until = null where consumer = ${consumer} and owner = ${owner}`
}

export interface ConsumerLag {
  readonly consumer: string
  /** Feed rows it has still to handle. */
  readonly behind: number
  /** Age of the oldest of them. */
  readonly behindMs: number
  readonly failures: number
  readonly lastError: string | null
}

/** How far every durable consumer of the shard is behind. */
export async function consumerLags(sql: ShardSql): Promise<ConsumerLag[]> {
  return sql<ConsumerLag[]>`
    select c.consumer, (s.position - c.position)::float8 as behind,
      coalesce(
        (select extract(epoch from clock_timestamp() - f.at) * 1000 from feed f
         where f.position > c.position order by f.position limit 1), 0)::float8 as "behindMs",
      c.failures, c.last_error as "lastError"
    from feed_cursors c, feed_state s
    order by c.consumer`
}

/** Ends a consumer that is gone for good, so that it no longer holds up the trimming of the feed. */
export async function forgetConsumer(sql: ShardSql, consumer: string): Promise<boolean> {
  const { count } = await sql`delete from feed_cursors where consumer = ${consumer}`
  return count === 1
}

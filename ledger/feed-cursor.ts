import type { ShardSql } from '../store/store.ts'

/** Rows of `feed_cursors`: one a consumer. Each function is one statement on the primary key. Times are the database's. */

export async function ensureCursor(sql: ShardSql, consumer: string, begin: 'first' | 'now'): Promise<void> {
  await sql`
    insert into feed_cursors (consumer, position)
    select ${consumer}, case when ${begin} = 'now' then position else trimmed end from feed_state
    on conflict (consumer) do nothing`
}

export type Leased =
  | { kind: 'leased'; after: number }
  /** Another process holds the lease, or the cursor is at the feed's end: nothing was written. */
  | { kind: 'idle' }
  /** There is no such cursor: the consumer was forgotten. */
  | { kind: 'forgotten' }

/** Takes the lease of the cursor where there is something behind it to handle. */
export async function leaseCursor(sql: ShardSql, consumer: string, owner: string, leaseMs: number): Promise<Leased> {
  const [row] = await sql<{ after: number | null; known: boolean }[]>`
    with leased as (
      update feed_cursors
      set owner = ${owner}, leased_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000})
      where consumer = ${consumer} and (owner is null or owner = ${owner} or leased_until < clock_timestamp())
        and position < (select s.position from feed_state s)
      returning position
    )
    select (select position from leased) as after,
      exists (select from feed_cursors where consumer = ${consumer}) as known`
  if (row?.known !== true) return { kind: 'forgotten' }
  return row.after === null ? { kind: 'idle' } : { kind: 'leased', after: row.after }
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

/**
 * Ends a consumer that is gone for good, so that it no longer holds up the trimming of the feed. One that still runs makes
 * itself a new cursor and begins anew. False where there was none.
 */
export async function forgetConsumer(sql: ShardSql, consumer: string): Promise<boolean> {
  const { count } = await sql`delete from feed_cursors where consumer = ${consumer}`
  return count === 1
}

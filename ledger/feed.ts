import type { CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'

/** One advance of one ledger's head: records `from` to `from + count - 1`. */
export interface FeedRow {
  /** Gap-free per shard, from 1. */
  readonly feedPosition: number
  readonly companyId: CompanyId
  readonly from: number
  readonly count: number
  readonly kinds: readonly string[]
  readonly lsn: string
}

export type FeedRound =
  /** Another process is leading at this moment. It may have begun before the caller's change: try again soon. */
  { kind: 'taken' } | { kind: 'led'; rows: readonly FeedRow[]; more: boolean }

/**
 * One round of the shard's relay, as leader: one statement, so one transaction and one round trip, and nothing is left
 * open when this process dies. Feed positions are given out under the lock of feed_state's row.
 */
export async function runFeedRound(sql: ShardSql, options: { limit: number; all: boolean }): Promise<FeedRound> {
  const rows = await sql<
    {
      leader: boolean
      more: boolean
      feed_position: number | null
      company: CompanyId
      first_position: number
      records: number
      record_kinds: string[]
      covering_lsn: string
    }[]
  >`select * from feed_round(${options.limit}, ${options.all})`
  const [first] = rows
  if (first?.leader !== true) return { kind: 'taken' }
  return {
    kind: 'led',
    more: first.more,
    rows: rows.flatMap((row) =>
      row.feed_position === null
        ? []
        : {
            feedPosition: row.feed_position,
            companyId: row.company,
            from: row.first_position,
            count: row.records,
            kinds: row.record_kinds,
            lsn: row.covering_lsn,
          },
    ),
  }
}

/** Where the feed stands: the last position given out, and the last one trimmed. */
export async function feedBounds(sql: ShardSql): Promise<{ head: number; trimmed: number }> {
  const [row] = await sql<{ position: number; trimmed: number }[]>`select position, trimmed from feed_state`
  return { head: row?.position ?? 0, trimmed: row?.trimmed ?? 0 }
}

/**
 * The rows behind `after`, oldest first; `trimmed: true` where rows behind it are gone. One statement, index: feed_pkey.
 * The primary's state and rows are of one snapshot, so that a trim in between cannot pass unseen.
 */
export async function readFeed(
  sql: ShardSql,
  options: { after: number; limit: number },
): Promise<{ rows: readonly FeedRow[]; trimmed: boolean }> {
  const rows = await sql<
    {
      trimmed: number
      position: number | null
      company_id: CompanyId
      from: number
      count: number
      kinds: string[]
      lsn: string
    }[]
  >`
    select s.trimmed, f.position, f.company_id, f."from", f.count, f.kinds, f.lsn
    from feed_state s
    left join lateral (
      select * from feed where position > ${options.after} order by position limit ${options.limit}
    ) f on true
    order by f.position`
  return {
    trimmed: (rows[0]?.trimmed ?? 0) > options.after,
    rows: rows.flatMap(({ position, company_id, from, count, kinds, lsn }) =>
      position === null ? [] : { feedPosition: position, companyId: company_id, from, count, kinds, lsn },
    ),
  }
}

/**
 * Deletes rows older than `keepMs`, at most `limit`, and none that a durable consumer has still to read. Takes
 * feed_state's row without waiting, so that it never holds up a round; answers how many went.
 */
export async function trimFeed(sql: ShardSql, options: { keepMs: number; limit: number }): Promise<number> {
  const [row] = await sql<{ deleted: number }[]>`
    with leader as (
      select position from feed_state for update skip locked
    ),
    old as (
      select f.position from feed f, leader
      where f.at < clock_timestamp() - make_interval(secs => ${options.keepMs / 1000})
        and f.position <= least(leader.position, (select min(position) from feed_cursors))
      order by f.position limit ${options.limit}
    ),
    gone as (
      delete from feed where position in (select position from old) returning position
    ),
    marked as (
      update feed_state set trimmed = greatest(trimmed, (select max(position) from old))
      where exists (select from old)
    )
    select count(*)::integer as deleted from gone`
  return row?.deleted ?? 0
}

/** How many records the ledger has, and a write-ahead log position that covers them. On the primary. */
export async function ledgerSize(sql: ShardSql, companyId: CompanyId): Promise<{ size: number; lsn: string }> {
  const [row] = await sql<{ size: number; lsn: string }[]>`
    select coalesce((select size from ledger_heads where company_id = ${companyId}), 0)::bigint as size,
      pg_current_wal_flush_lsn() as lsn`
  return { size: row?.size ?? 0, lsn: row?.lsn ?? '0/0' }
}

/** Position and kind of the records from `from` on, at most `limit`, none at or beyond `end`. Index: the primary key. */
export async function recordKinds(
  sql: ShardSql,
  companyId: CompanyId,
  range: { from: number; end: number; limit: number },
): Promise<readonly { position: number; kind: string }[]> {
  return sql<{ position: number; kind: string }[]>`
    select position, kind from ledger_records
    where company_id = ${companyId} and position >= ${range.from} and position < ${range.end}
    order by position limit ${range.limit}`
}

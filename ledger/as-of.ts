import { AppError, listTooLong } from '../core/errors.ts'
import { pageSize } from '../core/page-size.ts'
import type { CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'
import { readCheckpoints } from './checkpoints/read.ts'
import type { StoredCheckpoint } from './checkpoints/signer.ts'
import { type RecordRow, toRecord } from './read.ts'
import type { LedgerRecord } from './record.ts'
import { parseTime } from '../core/time.ts'

/** A moment of a ledger: right after a record, or everything recorded until a time. Exactly one of them. */
export interface Moment {
  readonly position?: number | null | undefined
  /** ISO 8601 with an offset. */
  readonly time?: string | null | undefined
}

export interface LedgerMoment {
  readonly companyId: CompanyId
  /** Records there were. */
  readonly size: number
  /** The smallest stored one that covers them; null while there is none. */
  readonly checkpoint: StoredCheckpoint | null
}

/** @throws AppError BAD_USER_INPUT | NOT_FOUND (a position that is not there yet) */
export async function readMoment(sql: ShardSql, companyId: CompanyId, moment: Moment): Promise<LedgerMoment> {
  const { position, time } = moment
  if ((position == null) === (time == null)) {
    throw new AppError('BAD_USER_INPUT', 'A moment is either a position or a time.')
  }
  let size: number
  if (time == null) {
    size = (position ?? 0) + 1
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new AppError('BAD_USER_INPUT', 'A position is a whole number from 0.', { details: { path: '$.position' } })
    }
    const rows = await sql`select from ledger_records where company_id = ${companyId} and position = ${size - 1}`
    if (rows.length === 0) {
      throw new AppError('NOT_FOUND', `There is no record ${companyId}:${size - 1}.`, { details: { position } })
    }
  } else {
    const [row] = await sql<[{ size: number }]>`
      select ledger_size_at(${companyId}, ${parseTime(time, 'time')}) as size`
    size = row.size
  }
  const [checkpoint] = size === 0 ? [] : await readCheckpoints(sql, [{ companyId, atLeast: size }])
  return { companyId, size, checkpoint: checkpoint ?? null }
}

const maxStreamsPerPage = 1000

/**
 * The latest record of each stream when the ledger had `size` records, in order of the streams' names: the state to that
 * moment. Walks from stream to stream in their index; a stream that began later costs a step.
 */
export async function readState(
  sql: ShardSql,
  companyId: CompanyId,
  size: number,
  page: { first: number; after?: string | null | undefined },
): Promise<{ records: LedgerRecord[]; hasMore: boolean }> {
  pageSize(page.first, { most: maxStreamsPerPage })
  const rows = await sql<RecordRow[]>`
    with recursive streams (stream) as (
      (select stream from ledger_records
        where company_id = ${companyId} and stream > ${page.after ?? ''} order by stream limit 1)
      union all
      select (select r.stream from ledger_records r
        where r.company_id = ${companyId} and r.stream > s.stream order by r.stream limit 1)
      from streams s where s.stream is not null
    )
    select r.company_id, r.position, r.batch_id, r.kind, r.source, r.stream, r.version, r.header, r.data, r.packed,
      r.leaf, r.previous_leaf
    from streams s, lateral (select ledger_version_at(${companyId}, s.stream, ${size}) as version) at
    join lateral (
      select * from ledger_records
      where company_id = ${companyId} and stream = s.stream and version = at.version
    ) r on true
    where s.stream is not null
    limit ${page.first + 1}`
  return { records: rows.slice(0, page.first).map(toRecord), hasMore: rows.length > page.first }
}

/** Those of the streams that had no record when the ledger had `size` of them, in the order given. */
export async function missingStreams(
  sql: ShardSql,
  companyId: CompanyId,
  size: number,
  required: readonly string[],
): Promise<string[]> {
  if (required.length > maxStreamsPerPage) {
    throw listTooLong(`At most ${maxStreamsPerPage} streams can be required.`, maxStreamsPerPage)
  }
  if (required.length === 0) return []
  const rows = await sql<{ stream: string }[]>`
    select stream from unnest(${required as string[]}::text[]) with ordinality as r (stream, place)
    where ledger_version_at(${companyId}, stream, ${size}) = 0 order by place`
  return rows.map(({ stream }) => stream)
}

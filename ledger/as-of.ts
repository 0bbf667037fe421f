import { AppError, listTooLong } from '../core/errors.ts'
import { pageSize } from '../core/page-size.ts'
import type { CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'
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

/**
 * The same moment of many ledgers, in one statement; a ledger that has no record at the position is left out.
 * @throws AppError BAD_USER_INPUT
 */
export async function readMoments(
  sql: ShardSql,
  companyIds: readonly CompanyId[],
  { position, time }: Moment,
): Promise<LedgerMoment[]> {
  if ((position == null) === (time == null)) {
    throw new AppError('BAD_USER_INPUT', 'A moment is either a position or a time.')
  }
  const at = position ?? 0
  if (!Number.isSafeInteger(at) || at < 0) {
    throw new AppError('BAD_USER_INPUT', 'A position is a whole number from 0.', { details: { path: '$.position' } })
  }
  const size =
    time == null
      ? sql`(select position + 1 from ledger_records where company_id = w.company_id and position = ${at})`
      : sql`ledger_size_at(w.company_id, ${parseTime(time, 'time')})`
  const rows = await sql<{ company_id: CompanyId; size: number; signed: number | null; note: string | null }[]>`
    select m.company_id, m.size, c.size as signed, c.note
    from (select w.company_id, ${size} as size from unnest(${companyIds as CompanyId[]}::text[]) as w (company_id)) m
    left join lateral (
      select size, note from ledger_checkpoints
      where company_id = m.company_id and size >= m.size and m.size > 0 order by size limit 1
    ) c on true
    where m.size is not null`
  return rows.map(({ company_id: companyId, size, signed, note }) => ({
    companyId,
    size,
    checkpoint: signed === null || note === null ? null : { companyId, size: signed, note },
  }))
}

const maxStreamsPerPage = 1000

/** A ledger when it had so many records. */
export interface LedgerAt {
  readonly companyId: CompanyId
  readonly size: number
}

export interface LedgerStatePage extends LedgerAt {
  readonly records: LedgerRecord[]
  readonly hasMore: boolean
}

/**
 * The latest record of each stream at those moments, in order of the streams' names: the state then. Walks from stream to
 * stream in their index; a stream that began later costs a step. One statement for many ledgers, the same page of each.
 * @throws AppError BAD_USER_INPUT | LIST_TOO_LONG
 */
export async function readStates(
  sql: ShardSql,
  moments: readonly LedgerAt[],
  page: { first: number; after?: string | null | undefined },
): Promise<LedgerStatePage[]> {
  pageSize(page.first, { most: maxStreamsPerPage })
  const rows = await sql<(RecordRow & { place: number })[]>`
    select w.place::integer as place, found.*
    from unnest(${moments.map(({ companyId }) => companyId)}::text[], ${moments.map(({ size }) => size)}::bigint[])
      with ordinality as w (company_id, size, place),
    lateral (
      with recursive streams (stream) as (
        (select stream from ledger_records
          where company_id = w.company_id and stream > ${page.after ?? ''} order by stream limit 1)
        union all
        select (select r.stream from ledger_records r
          where r.company_id = w.company_id and r.stream > s.stream order by r.stream limit 1)
        from streams s where s.stream is not null
      )
      select r.company_id, r.position, r.batch_id, r.kind, r.source, r.stream, r.version, r.header, r.data, r.packed,
        r.leaf, r.previous_leaf
      from streams s, lateral (select ledger_version_at(w.company_id, s.stream, w.size) as version) at
      join lateral (
        select * from ledger_records
        where company_id = w.company_id and stream = s.stream and version = at.version
      ) r on true
      where s.stream is not null
      limit ${page.first + 1}
    ) found`
  const byPlace = Map.groupBy(rows, ({ place }) => place - 1)
  return moments.map(({ companyId, size }, index) => {
    const found = byPlace.get(index) ?? []
    return { companyId, size, records: found.slice(0, page.first).map(toRecord), hasMore: found.length > page.first }
  })
}

/**
 * Those of the streams that had no record at those moments, in the order given. One statement for many ledgers.
 * @throws AppError LIST_TOO_LONG
 */
export async function missingStreams(
  sql: ShardSql,
  moments: readonly LedgerAt[],
  required: readonly string[],
): Promise<(LedgerAt & { readonly missing: string[] })[]> {
  if (required.length > maxStreamsPerPage)
    throw listTooLong(`At most ${maxStreamsPerPage} streams can be required.`, maxStreamsPerPage)
  const rows =
    required.length === 0
      ? []
      : await sql<{ place: number; stream: string }[]>`
          select w.place::integer as place, r.stream
          from unnest(${moments.map(({ companyId }) => companyId)}::text[], ${moments.map(({ size }) => size)}::bigint[])
            with ordinality as w (company_id, size, place),
            unnest(${required as string[]}::text[]) with ordinality as r (stream, number)
          where ledger_version_at(w.company_id, r.stream, w.size) = 0 order by w.place, r.number`
  const byPlace = Map.groupBy(rows, ({ place }) => place - 1)
  return moments.map((moment, index) => ({
    ...moment,
    missing: (byPlace.get(index) ?? []).map(({ stream }) => stream),
  }))
}

import { AppError, listTooLong } from '../core/errors.ts'
import { pageSize } from '../core/page-size.ts'
import { recordId, type CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'
import { unpack } from './pack.ts'
import type { LedgerRecord } from './record.ts'

/** One statement for many keys, for loaders: what is not there is left out of the answer. */

export interface LedgerHead {
  readonly companyId: CompanyId
  readonly size: number
  /** Of the last record; null while empty. */
  readonly leaf: Buffer | null
  readonly recordedAt: string | null
  readonly published: boolean
}

/** Index: the heads' primary key. */
export async function readHeads(sql: ShardSql, companyIds: readonly CompanyId[]): Promise<LedgerHead[]> {
  const rows = await sql<
    { company_id: CompanyId; size: number; leaf: Buffer; recorded_at: string; published: boolean }[]
  >`
    select company_id, size, leaf, recorded_at, published from ledger_heads
    where company_id = any(${companyIds as CompanyId[]}::text[])`
  return rows.map((row) => ({
    companyId: row.company_id,
    size: row.size,
    leaf: row.size === 0 ? null : row.leaf,
    recordedAt: row.size === 0 ? null : row.recorded_at,
    published: row.published,
  }))
}

/** Index: the records' primary key. */
export async function readRecords(
  sql: ShardSql,
  ids: readonly { readonly companyId: CompanyId; readonly position: number }[],
): Promise<LedgerRecord[]> {
  const rows = await sql<RecordRow[]>`
    select r.company_id, r.position, r.batch_id, r.kind, r.source, r.stream, r.version, r.header, r.data, r.packed,
      r.leaf, r.previous_leaf
    from unnest(${ids.map(({ companyId }) => companyId)}::text[], ${ids.map(({ position }) => position)}::bigint[])
      as wanted (company_id, position)
    join ledger_records r on r.company_id = wanted.company_id and r.position = wanted.position`
  return rows.map(toRecord)
}

export interface RecordFilter {
  readonly kinds?: readonly string[] | null | undefined
  readonly streams?: readonly string[] | null | undefined
  readonly sources?: readonly string[] | null | undefined
}

/** Keyset by position. `first` with `after` reads forwards, `last` with `before` the end backwards; exactly one of them. */
export interface PageArguments {
  readonly first?: number | null | undefined
  readonly last?: number | null | undefined
  /** Exclusive positions. */
  readonly after?: number | null | undefined
  readonly before?: number | null | undefined
  readonly filter?: RecordFilter | null | undefined
}

export interface RecordPage {
  readonly companyId: CompanyId
  /** In order of position. */
  readonly records: LedgerRecord[]
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
}

const maxPage = 1000

/**
 * The same page of many ledgers. Indexes: the primary key; with a filter on streams, kinds or sources (the first of these
 * that there is) the index on it, a value at a time, so that a rare kind in a long ledger costs no more than a common one.
 * @throws AppError BAD_USER_INPUT | LIST_TOO_LONG
 */
export async function readRecordPages(
  sql: ShardSql,
  companyIds: readonly CompanyId[],
  page: PageArguments,
): Promise<RecordPage[]> {
  const backwards = page.last != null
  const count = page.last ?? page.first ?? 0
  if (page.first != null && backwards) throw new AppError('BAD_USER_INPUT', 'A page takes either "first" or "last".')
  pageSize(count, { name: backwards ? 'last' : 'first', most: maxPage })
  const order = sql.unsafe(backwards ? 'desc' : 'asc')
  const after = page.after ?? -1
  const before = page.before ?? Number.MAX_SAFE_INTEGER
  const { kinds, streams, sources } = page.filter ?? {}
  for (const list of [kinds, streams, sources]) {
    if (list != null && list.length > 100) {
      throw listTooLong('A filter has at most 100 values.', 100)
    }
  }
  const columns = sql`r.company_id, r.position, r.batch_id, r.kind, r.source, r.stream, r.version, r.header, r.data,
    r.packed, r.leaf, r.previous_leaf`
  const others = sql`
    ${kinds == null ? sql`` : sql`and r.kind = any(${kinds as string[]}::text[])`}
    ${sources == null ? sql`` : sql`and r.source = any(${sources as string[]}::text[])`}`
  // A stream's index is in order of version, which in one stream is the order of position too.
  const [values, column, key] =
    streams != null
      ? [streams, sql`r.stream`, sql`r.version`]
      : kinds != null
        ? [kinds, sql`r.kind`, sql`r.position`]
        : sources != null
          ? [sources, sql`r.source`, sql`r.position`]
          : [null, sql``, sql`r.position`]
  const rows =
    values === null
      ? await sql<RecordRow[]>`
          select found.* from unnest(${companyIds as CompanyId[]}::text[]) as wanted (company_id),
            lateral (
              select ${columns} from ledger_records r
              where r.company_id = wanted.company_id and r.position > ${after} and r.position < ${before}
              order by r.position ${order} limit ${count + 1}
            ) found`
      : await sql<RecordRow[]>`
          select found.* from unnest(${companyIds as CompanyId[]}::text[]) as wanted (company_id),
            lateral (
              select one.* from unnest(${[...new Set(values)]}::text[]) as filter (value),
                lateral (
                  select ${columns} from ledger_records r
                  where r.company_id = wanted.company_id and ${column} = filter.value
                    and r.position > ${after} and r.position < ${before} ${others}
                  order by ${key} ${order} limit ${count + 1}
                ) one
              order by one.position ${order} limit ${count + 1}
            ) found`

  const byCompany = new Map<CompanyId, RecordRow[]>()
  for (const row of rows) {
    const list = byCompany.get(row.company_id)
    if (list === undefined) byCompany.set(row.company_id, [row])
    else list.push(row)
  }
  return companyIds.map((companyId) => {
    const found = (byCompany.get(companyId) ?? []).sort((a, b) =>
      backwards ? b.position - a.position : a.position - b.position,
    )
    const more = found.length > count
    const records = found.slice(0, count).map(toRecord)
    if (backwards) records.reverse()
    return {
      companyId,
      records,
      hasNextPage: backwards ? page.before != null : more,
      hasPreviousPage: backwards ? more : page.after != null && page.after >= 0,
    }
  })
}

export interface RecordRow {
  company_id: CompanyId
  position: number
  batch_id: number
  kind: string
  source: string
  stream: string
  version: number
  header: string
  data: string | null
  packed: Buffer | null
  leaf: Buffer
  previous_leaf: Buffer
}

export function toRecord(row: RecordRow): LedgerRecord {
  const header = JSON.parse(row.header) as Record<string, string | undefined>
  return {
    id: recordId(row.company_id, row.position),
    companyId: row.company_id,
    position: row.position,
    batchId: row.batch_id,
    kind: row.kind,
    source: row.source,
    stream: row.stream,
    version: row.version,
    data: row.packed === null ? row.data : unpack(row.packed),
    occurredAt: header['occurredAt'] ?? null,
    recordedAt: header['recordedAt'] ?? '',
    actor: header['actor'] ?? null,
    key: header['key'] ?? null,
    causation: header['causation'] ?? null,
    header: row.header,
    leaf: row.leaf,
    previousLeaf: row.previous_leaf,
  }
}

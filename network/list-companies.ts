import type { PendingQuery, Row } from 'postgres'
import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import { pageSize } from '../core/page-size.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'
import type { Company } from './company.ts'
import { askAllShards, compareBytes, decodeCursor, encodeCursor, mergeSorted } from './merge.ts'
import { companyColumns, companyOf, type CompanyRow, currentOf, isLeft, isListed } from './read-companies.ts'
import { searchQuery } from './search-text.ts'

const companyOrders = ['RELEVANCE', 'NAME', 'NEWEST'] as const
export type CompanyOrder = (typeof companyOrders)[number]

export interface CompanyListing {
  readonly first: number
  readonly after?: string | null | undefined
  readonly search?: string | null | undefined
  /** A sector's code. */
  readonly sector?: string | null | undefined
  /** Default: by relevance where something is searched for, else by name. */
  readonly orderBy?: CompanyOrder | null | undefined
  /** Shards that cannot be reached are left out and named; else one of them fails the page. */
  readonly allowPartial?: boolean | null | undefined
}

export interface CompanyPage extends Page<Company> {
  /** Shards whose companies would stand here, too. `hasNextPage` speaks of the others. */
  readonly missing: readonly ShardId[]
}

export interface Page<T> {
  readonly edges: readonly { readonly cursor: string; readonly node: T }[]
  readonly hasNextPage: boolean
}

const maxSearchLength = 200

/** Where a company stands in one total order over all shards. */
interface Place {
  /** Ascending number first (minus the rank), then text, then id. */
  readonly rank: number
  readonly text: string
  readonly id: string
}

/**
 * A page of the companies of all shards: one statement a shard, merged. The order is total over all shards, so that a
 * cursor is one place in it, and goes on being right on every shard while companies are added or moved between them, and
 * whichever shards had a part in the page that gave it out.
 * @throws AppError LIST_TOO_LONG | INVALID_CURSOR | BAD_USER_INPUT | SHARD_UNAVAILABLE
 */
export async function listCompanies(store: Store, listing: CompanyListing, scope?: StoreScope): Promise<CompanyPage> {
  const first = pageSize(listing.first)
  const search = listing.search ?? ''
  if (search.length > maxSearchLength) {
    throw new AppError('BAD_USER_INPUT', `search: at most ${maxSearchLength} characters`)
  }
  const query = searchQuery(search)
  if (search.trim() !== '' && query === null) return { edges: [], hasNextPage: false, missing: [] }
  const order = listing.orderBy ?? (query === null ? 'NAME' : 'RELEVANCE')
  if (order === 'RELEVANCE' && query === null) {
    throw new AppError('BAD_USER_INPUT', 'orderBy: RELEVANCE needs something to search for')
  }
  const after = listing.after == null ? null : placeOf(listing.after, order)

  const textSign = order === 'NEWEST' ? -1 : 1
  const compare = (a: Place, b: Place): number =>
    a.rank - b.rank || textSign * compareBytes(a.text, b.text) || compareBytes(a.id, b.id)

  for (let spare = 0; ;) {
    const limit = first + 1 + spare
    const { parts, missing } = await askAllShards(
      store,
      async (sql) => {
        const rows = await companiesAfter(sql, { order, query, sector: listing.sector ?? null, after, limit })
        return rows.map((row) => ({
          place: { rank: row.rank, text: row.place, id: row.company_id },
          company: companyOf(row),
          left: row.left,
        }))
      },
      scope,
      { allowPartial: listing.allowPartial === true },
    )
    // Of a company that moves, two copies may be among them.
    const listed = mergeSorted(parts, (a, b) => compare(a.place, b.place), 2 * limit)
    const merged = await currentOf(store, listed, scope)
    const kept = new Map(merged.map(({ company }) => [company.id, company.updatedAt]))
    const outdated = listed.filter(({ company }) => kept.get(company.id) !== company.updatedAt).length
    if (outdated > spare) {
      // They stood where other companies of their shards should stand: once more, with room for them.
      spare = outdated
      continue
    }
    return {
      edges: merged.slice(0, first).map(({ place, company }) => ({
        cursor: encodeCursor([order, place.rank, place.text, place.id]),
        node: company,
      })),
      hasNextPage: merged.length > first,
      missing,
    }
  }
}

function placeOf(cursor: string, order: CompanyOrder): Place {
  const [madeFor, rank, text, id] = decodeCursor(cursor, ['string', 'number', 'string', 'string'])
  if (madeFor !== order) throw new AppError('INVALID_CURSOR', 'The cursor belongs to another order of this list.')
  return { rank, text, id }
}

interface Criteria {
  order: CompanyOrder
  query: { prefix: string; exact: string } | null
  sector: string | null
  after: Place | null
  limit: number
}

/**
 * One shard's next companies. Index: `companies_by_search` where something is searched for, else `companies_by_sector`,
 * `companies_by_name` or `companies_by_age`, which also give the order. The rank is an integer so that it is the same
 * number in SQL, in Node and in a cursor; whole words count more than prefixes.
 */
function companiesAfter(sql: ShardSql, { order, query, sector, after, limit }: Criteria) {
  const text = order === 'NEWEST' ? sql`c.created_at` : sql`c.sort_name`
  const rank =
    order === 'RELEVANCE' && query !== null
      ? sql`-(1000000 * (
          ts_rank(c.search, ${query.prefix}::tsquery) + 2 * ts_rank(c.search, ${query.exact}::tsquery)
        ))::int`
      : sql`0`
  const matching = sql`
    ${query === null ? sql`true` : sql`c.search @@ ${query.prefix}::tsquery`}
    and ${sector === null ? sql`true` : sql`c.sector = ${sector}`}
    and ${isListed(sql)}`
  const behind = (rankColumn: PendingQuery<Row[]>, textColumn: PendingQuery<Row[]>) => {
    if (after === null) return sql`true`
    if (order === 'NEWEST') {
      return sql`${textColumn} <= ${after.text} and (${textColumn} < ${after.text} or c.company_id > ${after.id})`
    }
    if (order === 'NAME') return sql`(${textColumn}, c.company_id) > (${after.text}, ${after.id})`
    return sql`(${rankColumn}, ${textColumn}, c.company_id) > (${after.rank}::int, ${after.text}, ${after.id})`
  }
  const direction = order === 'NEWEST' ? sql`desc` : sql`asc`
  return sql<(CompanyRow & { rank: number; place: string; left: boolean })[]>`
    select c.rank, c.place, ${isLeft(sql)} as "left", ${companyColumns(sql)}
    from (
      select c.*, ${rank} as rank, ${text} as place
      from companies c
      where ${matching} and ${behind(rank, text)}
      order by ${order === 'RELEVANCE' ? sql`rank, sort_name` : sql`${text} ${direction}`}, company_id
      limit ${limit}
    ) c
    left join sectors s on s.code = c.sector
    order by c.rank, c.place ${direction}, c.company_id`
}

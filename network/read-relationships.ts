import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'
import { pageSize } from '../core/page-size.ts'
import type { Company } from './company.ts'
import type { Page } from './list-companies.ts'
import { decodeCursor, encodeCursor } from './merge.ts'
import { companyColumns, companyOf, type CompanyRow } from './read-companies.ts'
import type { Relationship } from './relationship.ts'
import { type EdgeRow, edgeColumns, relationshipOf } from './relationship-edges.ts'
import type { RelationshipStatus } from './relationship-rules.ts'

const relationshipOrders = ['NEWEST', 'OLDEST', 'RATING'] as const
export type RelationshipOrder = (typeof relationshipOrders)[number]
export type Role = 'BUYER' | 'SELLER'

/** A page's arguments, the same for every company of a batch. */
export interface RelationshipListing {
  readonly first: number
  readonly after: string | null
  readonly role: Role | null
  readonly status: RelationshipStatus | null
  readonly kind: string | null
  readonly orderBy: RelationshipOrder
}

/** @throws AppError LIST_TOO_LONG | BAD_USER_INPUT | INVALID_CURSOR */
export function parseListing(given: {
  readonly first?: number | null | undefined
  readonly after?: string | null | undefined
  readonly role?: Role | null | undefined
  readonly status?: RelationshipStatus | null | undefined
  readonly kind?: string | null | undefined
  readonly orderBy?: RelationshipOrder | null | undefined
}): RelationshipListing {
  const orderBy = given.orderBy ?? 'NEWEST'
  if (given.after != null) placeOf(given.after, orderBy)
  return {
    first: pageSize(given.first),
    after: given.after ?? null,
    role: given.role ?? null,
    status: given.status ?? null,
    kind: given.kind ?? null,
    orderBy,
  }
}

const noRating = -11

/** What each order sorts by, before the id. */
const keyOf: Record<RelationshipOrder, (edge: Relationship) => string | number> = {
  NEWEST: ({ updatedAt }) => updatedAt,
  OLDEST: ({ invitedAt }) => invitedAt,
  RATING: ({ rating }) => rating ?? noRating,
}

function placeOf(cursor: string, order: RelationshipOrder): { key: string | number; id: string } {
  const [madeFor, key, id] = decodeCursor(cursor, ['string', order === 'RATING' ? 'number' : 'string', 'string'])
  if (madeFor !== order) throw new AppError('INVALID_CURSOR', 'The cursor belongs to another order of this list.')
  return { key, id }
}

export interface CompanyPage {
  /** Null where there is no such company. */
  readonly company: Company | null
  readonly page: Page<Relationship>
}

/**
 * The same page of many companies' relationships, and the companies, in one statement: a limit for each, so that no
 * more than a page of each leaves the shard. Indexes: both primary keys and, which also give the order and begin at the
 * cursor, `relationships_newest`, `_by_age`, `_best_rated`.
 */
export async function readRelationshipPages(
  sql: ShardSql,
  companyIds: readonly CompanyId[],
  { first, after, role, status, kind, orderBy }: RelationshipListing,
): Promise<Map<CompanyId, CompanyPage>> {
  const place = after === null ? null : placeOf(after, orderBy)
  const key = {
    NEWEST: sql`r.updated_at`,
    OLDEST: sql`r.invited_at`,
    RATING: sql`coalesce(r.rating, ${noRating}::int)`,
  }[orderBy]
  const descending = orderBy !== 'OLDEST'
  const direction = descending ? sql`desc` : sql`asc`
  const behind =
    place === null
      ? sql`true`
      : descending
        ? sql`(${key}, r.relationship_id) < (${place.key}, ${place.id})`
        : sql`(${key}, r.relationship_id) > (${place.key}, ${place.id})`
  const rows = await sql<(CompanyRow & { edges: string })[]>`
    select ${companyColumns(sql)}, (
      select coalesce(json_agg(e), '[]')::text from (
        select ${edgeColumns(sql)}
        from relationships r
        where r.company_id = c.company_id
          and ${role === null ? sql`true` : sql`r.role = ${role}`}
          and ${status === null ? sql`true` : sql`r.status = ${status}`}
          and ${kind === null ? sql`true` : sql`r.kind = ${kind}`}
          and ${behind}
        order by ${key} ${direction}, r.relationship_id ${direction}
        limit ${first + 1}
      ) e
    ) as edges
    from companies c left join sectors s on s.code = c.sector
    where c.company_id = any(${[...companyIds]})`
  return new Map(
    rows.map((row) => {
      const edges = (JSON.parse(row.edges) as EdgeRow[]).map(relationshipOf)
      const page = {
        edges: edges
          .slice(0, first)
          .map((edge) => ({ cursor: encodeCursor([orderBy, keyOf[orderBy](edge), edge.id]), node: edge })),
        hasNextPage: edges.length > first,
      }
      return [row.company_id, { company: companyOf(row), page }]
    }),
  )
}

export interface RelationshipStats {
  readonly total: number
  readonly counts: readonly { readonly role: Role; readonly status: RelationshipStatus; readonly count: number }[]
  /** Of what the company gave as buyer, and got as seller; null where nobody rated. */
  readonly meanRatingGiven: number | null
  readonly meanRatingReceived: number | null
}

export const noStats: RelationshipStats = { total: 0, counts: [], meanRatingGiven: null, meanRatingReceived: null }

/** One aggregate statement for any number of companies of a shard; index: the primary key. */
export async function readRelationshipStats(
  sql: ShardSql,
  companyIds: readonly CompanyId[],
): Promise<Map<CompanyId, RelationshipStats>> {
  const rows = await sql<
    { company_id: CompanyId; role: Role; status: RelationshipStatus; count: number; rated: number; sum: number }[]
  >`
    select company_id, role, status, count(*)::int as count, count(rating)::int as rated,
      coalesce(sum(rating), 0)::int as sum
    from relationships where company_id = any(${[...companyIds]})
    group by company_id, role, status order by company_id, role, status`
  return new Map(
    [...Map.groupBy(rows, (row) => row.company_id)].map(([companyId, group]) => {
      const mean = (role: Role): number | null => {
        const own = group.filter((row) => row.role === role)
        const rated = own.reduce((total, row) => total + row.rated, 0)
        return rated === 0 ? null : own.reduce((total, row) => total + row.sum, 0) / rated
      }
      return [
        companyId,
        {
          total: group.reduce((total, { count }) => total + count, 0),
          counts: group.map(({ role, status, count }) => ({ role, status, count })),
          meanRatingGiven: mean('BUYER'),
          meanRatingReceived: mean('SELLER'),
        },
      ]
    }),
  )
}

/** Beyond it the rest of a company's partners does not count as mutual. */
const maxPartners = 10_000

/** The companies that each company has or had an agreed relationship with, in one statement a shard. */
export async function readPartners(
  sql: ShardSql,
  companyIds: readonly CompanyId[],
): Promise<Map<CompanyId, ReadonlySet<CompanyId>>> {
  const rows = await sql<{ company_id: CompanyId; partners: CompanyId[] }[]>`
    select k.company_id, array(
      select distinct r.partner_id from relationships r
      where r.company_id = k.company_id and r.status in ('ACTIVE', 'SUSPENDED')
      order by r.partner_id limit ${maxPartners}
    ) as partners
    from unnest(${[...companyIds]}::text[]) as k(company_id)`
  return new Map(rows.map(({ company_id, partners }) => [company_id, new Set(partners)]))
}

import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, ShardTx, Store, StoreScope } from '../store/store.ts'
import type { Company, Identifier } from './company.ts'

export interface CompanyRow {
  company_id: CompanyId
  name: string
  sector: string | null
  sector_name: string | null
  sub_industry: string | null
  seat: string | null
  founded: string | null
  created_at: string
  updated_at: string
  /** JSON array of [scheme, value]. */
  identifiers: string
}

/** The columns of a `CompanyRow`, from `companies c left join sectors s`. */
export const companyColumns = (sql: ShardSql | ShardTx) => sql`
  c.company_id, c.name, c.sector, s.name as sector_name, c.sub_industry, c.seat, c.founded, c.created_at, c.updated_at,
  coalesce((
    select json_agg(json_build_array(i.scheme, i.value) order by i.scheme, i.value)
    from company_identifiers i where i.company_id = c.company_id
  ), '[]')::text as identifiers`

/**
 * While a company moves, two shards hold its row. Reads that ask every shard take it from where it is, and from where it
 * was as long as that copy is whole: between the fence and the moment at which each shard is asked, neither may have it.
 */
export const isListed = (sql: ShardSql) => sql`
  not exists (select 1 from company_places p where p.company_id = c.company_id and not p.here and p.epoch = 0)`

/** Whether it is the copy of where the company was; `currentOf` says what to make of it. */
export const isLeft = (sql: ShardSql) => sql`
  exists (select 1 from company_places p where p.company_id = c.company_id and not p.here)`

/**
 * Of what all shards list, each company once and as it is now: the copy it left counts only where no other was seen and
 * where the company has not changed since.
 */
export async function currentOf<T extends { readonly company: Company; readonly left: boolean }>(
  store: Store,
  listed: readonly T[],
  scope: StoreScope = {},
): Promise<T[]> {
  const seen = new Set(listed.filter(({ left }) => !left).map(({ company }) => company.id))
  const alone = listed.filter(({ company, left }) => left && !seen.has(company.id))
  if (alone.length === 0) return listed.filter(({ left }) => !left)
  const now = new Map<CompanyId, string>()
  const unanswered = new Set<CompanyId>()
  for (const result of await store.read([...new Set(alone.map(({ company }) => company.id))], readCompanies, scope)) {
    if (result.ok) for (const { id, updatedAt } of result.value) now.set(id, updatedAt)
    // Not known to have changed.
    else for (const id of result.companyIds) unanswered.add(id)
  }
  const stands = ({ id, updatedAt }: Company): boolean =>
    !seen.has(id) && (unanswered.has(id) || now.get(id) === updatedAt)
  return listed.filter(({ company, left }) => !left || stands(company))
}

/** One statement for any number of companies of a shard; index: both primary keys. Unknown ids are left out. */
export async function readCompanies(sql: ShardSql | ShardTx, companyIds: readonly CompanyId[]): Promise<Company[]> {
  const rows = await sql<CompanyRow[]>`
    select ${companyColumns(sql)}
    from companies c left join sectors s on s.code = c.sector
    where c.company_id = any(${[...companyIds]})`
  return rows.map(companyOf)
}

export interface IdentifiedCompany {
  readonly identifier: Identifier
  readonly company: Company
  /** From the shard that it left. */
  readonly left: boolean
}

/** The companies of a shard that carry any of these identifiers; index: `company_identifiers_by_value`. */
export async function readCompaniesByIdentifier(
  sql: ShardSql,
  identifiers: readonly Identifier[],
): Promise<IdentifiedCompany[]> {
  const rows = await sql<(CompanyRow & { scheme: string; value: string; left: boolean })[]>`
    select k.scheme, k.value, ${isLeft(sql)} as "left", ${companyColumns(sql)}
    from unnest(
      ${identifiers.map(({ scheme }) => scheme)}::text[], ${identifiers.map(({ value }) => value)}::text[]
    ) as k(scheme, value)
    join company_identifiers ci on ci.scheme = k.scheme and ci.value = k.value
    join companies c on c.company_id = ci.company_id
    left join sectors s on s.code = c.sector
    where ${isListed(sql)}`
  return rows.map((row) => ({
    identifier: { scheme: row.scheme, value: row.value },
    company: companyOf(row),
    left: row.left,
  }))
}

export function companyOf(row: CompanyRow): Company {
  return {
    id: row.company_id,
    name: row.name,
    identifiers: (JSON.parse(row.identifiers) as [string, string][]).map(([scheme, value]) => ({ scheme, value })),
    sector: row.sector === null ? null : { code: row.sector, name: row.sector_name ?? row.sector },
    subIndustry: row.sub_industry,
    seat: row.seat,
    founded: row.founded,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

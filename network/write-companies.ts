import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, ShardTx } from '../store/store.ts'
import type { CompanyProfile, Identifier } from './company.ts'
import { fold, searchVector } from './search-text.ts'

export interface NewCompany {
  readonly id: CompanyId
  readonly profile: CompanyProfile
  readonly at: string
}

/**
 * Inserts many companies of one shard with their identifiers, in one statement, and answers with the ids that were not
 * there before. A company that exists is left as it is.
 */
export async function insertCompanies(tx: ShardTx, companies: readonly NewCompany[]): Promise<CompanyId[]> {
  const column = <T>(of: (company: NewCompany) => T): T[] => companies.map(of)
  const identifiers = companies.flatMap(({ id, profile }) => profile.identifiers.map((i) => ({ id, ...i })))
  const rows = await tx<{ company_id: CompanyId }[]>`
    with inserted as (
      insert into companies
        (company_id, name, sort_name, sector, sub_industry, seat, founded, created_at, updated_at, search)
      select id, name, sort_name, sector, sub_industry, seat, founded, at, at, search::tsvector
      from unnest(
        ${column(({ id }) => id as string)}::text[],
        ${column(({ profile }) => profile.name)}::text[],
        ${column(({ profile }) => fold(profile.name))}::text[],
        ${column(({ profile }) => profile.sector)}::text[],
        ${column(({ profile }) => profile.subIndustry)}::text[],
        ${column(({ profile }) => profile.seat)}::text[],
        ${column(({ profile }) => profile.founded)}::text[],
        ${column(({ at }) => at)}::text[],
        ${column(({ profile }) => vectorOf(profile))}::text[]
      ) as new(id, name, sort_name, sector, sub_industry, seat, founded, at, search)
      on conflict do nothing
      returning company_id
    ), identified as (
      insert into company_identifiers (company_id, scheme, value)
      select id, scheme, value
      from unnest(
        ${identifiers.map(({ id }) => id as string)}::text[],
        ${identifiers.map(({ scheme }) => scheme)}::text[],
        ${identifiers.map(({ value }) => value)}::text[]
      ) as new(id, scheme, value)
      where id in (select company_id from inserted)
    )
    select company_id from inserted`
  return rows.map(({ company_id }) => company_id)
}

/** Writes the whole profile but its identifiers. */
export async function updateCompanyRow(tx: ShardTx, id: CompanyId, profile: CompanyProfile, at: string): Promise<void> {
  await tx`
    update companies set
      name = ${profile.name}, sort_name = ${fold(profile.name)}, sector = ${profile.sector},
      sub_industry = ${profile.subIndustry}, seat = ${profile.seat}, founded = ${profile.founded},
      updated_at = greatest(updated_at, ${at}), search = ${vectorOf(profile)}::tsvector
    where company_id = ${id}`
}

export async function replaceIdentifiers(
  tx: ShardTx,
  id: CompanyId,
  identifiers: readonly Identifier[],
): Promise<void> {
  await tx`delete from company_identifiers where company_id = ${id}`
  await tx`
    insert into company_identifiers (company_id, scheme, value)
    select ${id}, scheme, value
    from unnest(
      ${identifiers.map(({ scheme }) => scheme)}::text[], ${identifiers.map(({ value }) => value)}::text[]
    ) as new(scheme, value)`
}

/** Those of the codes that the shard's copy of the sectors does not hold. */
export async function unknownSectors(sql: ShardSql | ShardTx, codes: readonly string[]): Promise<string[]> {
  const rows = await sql<{ code: string }[]>`
    select code from unnest(${codes as string[]}::text[]) as asked(code)
    where code not in (select code from sectors)`
  return rows.map(({ code }) => code)
}

function vectorOf(profile: CompanyProfile): string {
  return searchVector([
    ...profile.identifiers.map(({ value }) => ({ text: value, weight: 'A' as const })),
    { text: profile.name, weight: 'B' },
    ...[profile.seat, profile.subIndustry].flatMap((text) => (text === null ? [] : [{ text, weight: 'C' as const }])),
  ])
}

import type { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { createLoader, createShardLoader } from '../../loaders/keyed.ts'
import type { LoaderFactory } from '../../loaders/registry.ts'
import type { Company, Identifier } from '../../network/company.ts'
import { compareBytes } from '../../network/merge.ts'
import { currentOf, readCompanies, readCompaniesByIdentifier } from '../../network/read-companies.ts'
import { listSectors, type Sector } from '../../network/sectors.ts'

export const companyById: LoaderFactory<CompanyId, Company | null> = (context) =>
  createShardLoader<CompanyId, Company | null>(context, {
    companyOf: parseCompanyId,
    textOf: (id) => id,
    load: async (sql, ids) => new Map((await readCompanies(sql, ids)).map((company) => [company.id, company])),
    missing: null,
  })

/**
 * No shard can be told from an identifier, so every shard is asked once for all of them. Where several companies carry one
 * (a stock symbol that was given out again), it is the one created last.
 */
export const companyByIdentifier: LoaderFactory<Identifier, Company | null> = (context) =>
  createLoader<Identifier, Company | null>(context, identifierText, async (identifiers) => {
    const results = await context.store.broadcast((sql) => readCompaniesByIdentifier(sql, identifiers), context.scope)
    const found = new Map<string, Company>()
    let failure: AppError | null = null
    for (const result of results) if (!result.ok) failure = result.error
    const listed = results.flatMap((result) => (result.ok ? result.value : []))
    for (const { identifier, company } of await currentOf(context.store, listed, context.scope)) {
      const key = identifierText(identifier)
      const other = found.get(key)
      if (other === undefined || comesBefore(company, other)) found.set(key, company)
    }
    return identifiers.map((identifier) => found.get(identifierText(identifier)) ?? failure)
  })

export const sectorByCode: LoaderFactory<string, Sector | null> = (context) =>
  createLoader<string, Sector | null>(
    context,
    (code) => code,
    async (codes) => {
      const sectors = new Map((await listSectors(context.store, context.scope)).map((sector) => [sector.code, sector]))
      return codes.map((code) => sectors.get(code) ?? null)
    },
  )

const identifierText = ({ scheme, value }: Identifier): string => `${scheme} ${value}`

const comesBefore = (a: Company, b: Company): boolean =>
  a.createdAt === b.createdAt ? compareBytes(a.id, b.id) < 0 : a.createdAt > b.createdAt

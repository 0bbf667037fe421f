import { isAppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { CompanyCommands } from '../../network/companies.ts'
import { readCompanies } from '../../network/read-companies.ts'
import { putSectors, sectorCode } from '../../network/sectors.ts'
import type { Store } from '../../store/store.ts'
import type { ImportedCompany } from './items.ts'
import type { ImportTarget } from './run-import.ts'

const concurrentCreations = 16
const importActor = 'import'

/** Imports through the same commands as everybody: each company and each batch is a change with its records. */
export function createImportTarget(deps: { store: Store; ledger: Ledger; companies: CompanyCommands }): ImportTarget {
  const { store, ledger, companies: commands } = deps
  const knownSectors = new Set<string>()

  async function missingOf(companies: readonly ImportedCompany[]): Promise<ImportedCompany[]> {
    const ids = companies.map(({ id }) => id)
    const results = await store.read(ids, async (sql, some) => (await readCompanies(sql, some)).map(({ id }) => id))
    const known = new Set<CompanyId>()
    for (const result of results) {
      if (!result.ok) throw result.error
      for (const id of result.value) known.add(id)
    }
    return companies.filter(({ id }) => !known.has(id))
  }

  async function ensureSectors(companies: readonly ImportedCompany[]): Promise<void> {
    const names = new Set(companies.flatMap(({ sectorName }) => (sectorName === undefined ? [] : [sectorName])))
    const missing = [...names].filter((name) => !knownSectors.has(name))
    if (missing.length === 0) return
    await putSectors(
      store,
      missing.map((name) => ({ code: sectorCode(name), name })),
    )
    for (const name of missing) knownSectors.add(name)
  }

  return {
    async createCompanies(companies) {
      const missing = await missingOf(companies)
      await ensureSectors(missing)
      let created = 0
      const queue = missing.values()
      await Promise.all(
        Array.from({ length: concurrentCreations }, async () => {
          for (const { id, sectorName, ...company } of queue) {
            try {
              const sector = sectorName === undefined ? null : sectorCode(sectorName)
              await commands.create({ id, ...company, sector }, { actor: importActor })
              created += 1
            } catch (error) {
              if (!isAppError(error, 'ALREADY_EXISTS')) throw error
            }
          }
        }),
      )
      return created
    },

    async append(companyId, records) {
      const { records: receipts } = await ledger.append(companyId, {
        records: records.map((record) => ({ ...record, actor: importActor })),
      })
      return receipts.filter(({ duplicate }) => !duplicate).length
    },
  }
}

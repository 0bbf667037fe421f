import { type Clock, systemClock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { type CompanyId, newCompanyId, parseCompanyId } from '../core/ids.ts'
import type { PositionToken } from '../core/position.ts'
import type { JsonObject, Ledger, NewRecord } from '../ledger/ledger.ts'
import type { ShardTx, StoreScope } from '../store/store.ts'
import {
  type Company,
  type CompanyChange,
  type CompanyProfile,
  type NewCompanyInput,
  parseNewProfile,
  parseProfileChange,
} from './company.ts'
import { lockCompany } from './lock-company.ts'
import { readCompanies } from './read-companies.ts'
import {
  insertCompanies,
  type NewCompany,
  replaceIdentifiers,
  unknownSectors,
  updateCompanyRow,
} from './write-companies.ts'
import { ownSource } from '../ledger/own-records.ts'

/** The stream that a company's own changes are records of. */
const profileStream = 'profile'

export interface Written {
  readonly company: Company
  readonly position: PositionToken
}

export interface CompanyCommands {
  /** @throws AppError ALREADY_EXISTS | BAD_USER_INPUT | INVALID_ID | LIST_TOO_LONG */
  create(input: NewCompanyInput & PlacedId, by: ChangedBy): Promise<Written>
  /** A change that changes nothing appends nothing. @throws AppError NOT_FOUND | BAD_USER_INPUT | LIST_TOO_LONG */
  update(companyId: CompanyId, change: CompanyChange, by: ChangedBy): Promise<Written>
}

export interface PlacedId {
  /** Left out: a UUIDv7. */
  readonly id?: string | null | undefined
  /** Where its data is to stay, under geographic placement: its id begins with it. */
  readonly region?: string | null | undefined
}

export interface ChangedBy {
  /** Who, for the ledger: an id, never a person's name. */
  readonly actor?: string | undefined
  readonly scope?: StoreScope | undefined
}

export function createCompanyCommands(deps: {
  ledger: Ledger
  /** See `Store.regions`. */
  regions?: readonly string[]
  clock?: Clock
}): CompanyCommands {
  const { ledger, regions = [], clock = systemClock } = deps

  /** @throws AppError BAD_USER_INPUT | INVALID_ID */
  function placedId({ id, region }: PlacedId): CompanyId {
    if (region == null) return id == null ? newCompanyId(clock.now()) : parseCompanyId(id)
    const refuse = (message: string): AppError =>
      new AppError('BAD_USER_INPUT', message, { details: { field: 'region' } })
    if (!regions.includes(region)) {
      throw refuse(
        regions.length === 0
          ? 'region: companies are not placed by region here'
          : `region: choose from ${regions.join(', ')}`,
      )
    }
    if (id == null) return parseCompanyId(`${region}.${newCompanyId(clock.now())}`)
    if (!id.startsWith(`${region}.`)) throw refuse(`region: the id of such a company begins with "${region}."`)
    return parseCompanyId(id)
  }

  return {
    async create({ id, region, ...input }, { actor, scope }) {
      const company: NewCompany = {
        id: placedId({ id, region }),
        profile: parseNewProfile(input),
        at: new Date(clock.now()).toISOString(),
      }
      const { value, position } = await ledger.change(
        company.id,
        async (tx) => {
          await refuseUnknownSector(tx, company.profile.sector)
          const [inserted] = await insertCompanies(tx, [company])
          if (inserted === undefined) {
            throw new AppError('ALREADY_EXISTS', `The company ${company.id} exists already.`)
          }
          return { value: await readWritten(tx, company.id), records: [companyCreated(company.profile, actor)] }
        },
        scope,
      )
      return { company: value, position }
    },

    async update(companyId, input, { actor, scope }) {
      const change = parseProfileChange(input)
      const { value, position } = await ledger.change(
        companyId,
        async (tx) => {
          const before = await lockProfile(tx, companyId)
          const changed = Object.fromEntries(
            Object.entries(change).filter(
              ([field, value]) => JSON.stringify(value) !== JSON.stringify(before[field as keyof CompanyProfile]),
            ),
          ) as Partial<CompanyProfile>
          if (Object.keys(changed).length === 0) return { value: await readWritten(tx, companyId), records: [] }
          if (changed.sector !== undefined) await refuseUnknownSector(tx, changed.sector)
          await updateCompanyRow(tx, companyId, { ...before, ...changed }, new Date(clock.now()).toISOString())
          if (changed.identifiers !== undefined) await replaceIdentifiers(tx, companyId, changed.identifiers)
          return {
            value: await readWritten(tx, companyId),
            records: [profileRecord('company.updated', changed as JsonObject, actor)],
          }
        },
        scope,
      )
      return { company: value, position }
    },
  }
}

/** What a new company's ledger starts with: its profile, without the fields that are not known. */
export function companyCreated(profile: CompanyProfile, actor: string | undefined): NewRecord {
  const known = Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== null))
  return profileRecord('company.created', known, actor)
}

function profileRecord(kind: string, data: JsonObject, actor: string | undefined): NewRecord {
  return { kind, source: ownSource, stream: profileStream, data, ...(actor === undefined ? {} : { actor }) }
}

async function lockProfile(tx: ShardTx, companyId: CompanyId): Promise<CompanyProfile> {
  await lockCompany(tx, companyId)
  const { sector, identifiers, name, subIndustry, seat, founded } = await readWritten(tx, companyId)
  return { name, identifiers, sector: sector?.code ?? null, subIndustry, seat, founded }
}

async function readWritten(tx: ShardTx, companyId: CompanyId): Promise<Company> {
  const [company] = await readCompanies(tx, [companyId])
  if (company === undefined) throw new AppError('NOT_FOUND', `There is no company ${companyId}.`)
  return company
}

async function refuseUnknownSector(tx: ShardTx, sector: string | null): Promise<void> {
  if (sector === null) return
  const [unknown] = await unknownSectors(tx, [sector])
  if (unknown !== undefined) {
    throw new AppError('BAD_USER_INPUT', `sector: there is no sector "${unknown}"`, { details: { field: 'sector' } })
  }
}

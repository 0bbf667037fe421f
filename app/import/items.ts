import { AppError } from '../../core/errors.ts'
import { type CompanyId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json/canonical.ts'
import { uuidv5 } from '../../core/uuid.ts'
import type { Row } from './rows.ts'

export interface ImportedCompany {
  readonly id: CompanyId
  readonly name: string
  readonly identifiers: readonly { scheme: string; value: string }[]
  /** As the source writes it, for example `Information Technology`. */
  readonly sectorName?: string
  readonly subIndustry?: string
  readonly seat?: string
  readonly founded?: string
}

export interface ImportedEvent {
  readonly company: ImportedCompany
  readonly kind: string
  readonly stream: string
  readonly source: string
  readonly data: JsonObject
  readonly occurredAt?: string
}

export type ImportItem = { type: 'company'; company: ImportedCompany } | { type: 'event'; event: ImportedEvent }

/** Ids are derived from the identifier, so that the same file always names the same companies. */
const companyNamespace = '6f0fd5c4-2b8b-5c0c-9c55-1d6c8f2a7e11'

/** `MMM` (a symbol) or `scheme:value`. */
function companyByReference(reference: string, name?: string): ImportedCompany {
  const [, scheme = 'symbol', value = reference] = /^([a-z][a-z0-9-]{0,31}):(.+)$/s.exec(reference) ?? []
  return {
    id: uuidv5(companyNamespace, `${scheme}:${value}`) as CompanyId,
    name: name ?? value,
    identifiers: [{ scheme, value }],
  }
}

/**
 * What a row asks for. A row with a `kind` is an event of a company's ledger, any other is a company.
 * @throws AppError BAD_USER_INPUT, JSON_*
 */
export function importItem(row: Row, parseJson: (text: string) => unknown): ImportItem {
  if (row.format === 'bad') throw row.error
  return fromFields(
    row.format === 'json' ? asObject(parseJson(row.text), 'The line') : csvFields(row.fields, parseJson),
  )
}

/** Our name of a field -> the headers under which files carry it, compared without case, spaces and punctuation. */
const aliases = {
  name: ['name', 'security', 'companyname'],
  symbol: ['symbol', 'ticker'],
  cik: ['cik'],
  lei: ['lei'],
  sector: ['sector', 'gicssector'],
  subIndustry: ['subindustry', 'gicssubindustry'],
  seat: ['seat', 'headquarterslocation', 'headquarters'],
  founded: ['founded'],
} as const

function fromFields(fields: JsonObject): ImportItem {
  return fields['kind'] === undefined
    ? { type: 'company', company: companyFrom(fields) }
    : { type: 'event', event: eventFrom(fields) }
}

function eventFrom(fields: JsonObject): ImportedEvent {
  const kind = text(fields, 'kind')
  const data = asObject(fields['data'] ?? {}, '"data"')
  const name = [data['Name'], data['Security'], data['name']].find((value) => typeof value === 'string')
  return {
    company: companyByReference(text(fields, 'company'), name),
    kind,
    stream: fields['stream'] === undefined ? (kind.split('.')[0] ?? kind) : text(fields, 'stream'),
    source: fields['source'] === undefined ? 'import' : text(fields, 'source'),
    data,
    ...(fields['at'] === undefined ? {} : { occurredAt: time(text(fields, 'at')) }),
  }
}

function companyFrom(fields: JsonObject): ImportedCompany {
  const byHeader = new Map(Object.entries(fields).map(([name, value]) => [normalize(name), value]))
  const find = (field: keyof typeof aliases): string | undefined => {
    for (const alias of aliases[field]) {
      const value = byHeader.get(alias)
      if (typeof value === 'string' && value.trim() !== '') return value.trim()
      if (typeof value === 'number') return String(value)
    }
    return undefined
  }
  const identifiers = (['symbol', 'lei', 'cik'] as const).flatMap((scheme) => {
    const value = find(scheme)
    return value === undefined ? [] : [{ scheme, value }]
  })
  const [first] = identifiers
  const name = find('name')
  if (first === undefined || name === undefined) {
    throw new AppError('BAD_USER_INPUT', 'A company needs a name and a symbol, LEI or CIK; an event needs a "kind".')
  }
  return {
    ...companyByReference(`${first.scheme}:${first.value}`, name),
    identifiers,
    ...optional('sectorName', find('sector')),
    ...optional('subIndustry', find('subIndustry')),
    ...optional('seat', find('seat')),
    ...optional('founded', find('founded')),
  }
}

/** In CSV an event's `data` is a column of JSON; without it, the columns that have no meaning of their own are the data. */
function csvFields(fields: Record<string, string>, parseJson: (text: string) => unknown): JsonObject {
  const { kind, company, at, source, stream, data, ...others } = fields
  if (kind === undefined) return fields
  return {
    kind,
    ...(company === undefined ? {} : { company }),
    ...(at === undefined || at === '' ? {} : { at }),
    ...(source === undefined || source === '' ? {} : { source }),
    ...(stream === undefined || stream === '' ? {} : { stream }),
    data: data === undefined || data === '' ? others : asObject(parseJson(data), '"data"'),
  }
}

function time(value: string): string {
  const pattern = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/
  const date = new Date(value)
  if (!pattern.test(value) || Number.isNaN(date.getTime())) {
    throw new AppError('BAD_USER_INPUT', '"at" is not a time: write for example 2026-01-31T12:00:00Z.')
  }
  return date.toISOString()
}

function text(fields: JsonObject, name: string): string {
  const value = fields[name]
  if (typeof value !== 'string' || value === '') throw new AppError('BAD_USER_INPUT', `"${name}" must be a text.`)
  return value
}

function asObject(value: unknown, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw new AppError('BAD_USER_INPUT', `${what} must be a JSON object.`)
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: string })
}

const normalize = (header: string): string => header.toLowerCase().replace(/[^a-z0-9]/g, '')

import { AppError, listTooLong } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import { canonicalJson, type JsonObject } from '../../core/json/canonical.ts'
import type { PositionToken } from '../../core/position.ts'
import type { ShardSql, StoreScope } from '../../store/store.ts'
import { textHash } from '../entry.ts'
import type { Ledger } from '../ledger.ts'
import { compileSchema } from './compile.ts'
import { readySchemas } from './ready.ts'
import { ownSource } from '../own-records.ts'

export interface RegisteredSchema {
  readonly companyId: CompanyId
  readonly kind: string
  /** Of the kind's schema, from 1. */
  readonly version: number
  /** JSON text. */
  readonly schema: string
}

const maxKinds = 200

/**
 * Puts a schema for a kind of the company's records in force: appends from now on have to fit it, earlier records need
 * not. The same schema again registers nothing. Without a schema, the ready one of that name. The registration is a record
 * itself, which holds the schema's hash.
 * @throws AppError BAD_USER_INPUT | PAYLOAD_TOO_LARGE | LIST_TOO_LONG | NOT_FOUND
 */
export async function registerSchema(
  ledger: Ledger,
  companyId: CompanyId,
  input: { kind: string; schema?: JsonObject | null | undefined; actor?: string | undefined },
  scope?: StoreScope,
): Promise<RegisteredSchema & { position: PositionToken }> {
  const { kind, actor } = input
  const schema = input.schema ?? readySchemas[kind]
  if (schema === undefined) {
    throw new AppError('BAD_USER_INPUT', `There is no ready schema for "${kind}": send one.`, {
      details: { path: '$.schema', ready: Object.keys(readySchemas) },
    })
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/.test(kind) || /^(ledger|relationship)\./.test(kind)) {
    throw new AppError('BAD_USER_INPUT', 'This kind cannot have a schema.', { details: { path: '$.kind' } })
  }
  const text = canonicalJson(schema)
  compileSchema(text)
  const { value, position } = await ledger.change(
    companyId,
    async (tx) => {
      // The head's lock first: registrations of one company come one after the other, and before or after each append.
      const heads = await tx`select from ledger_heads where company_id = ${companyId} for update`
      if (heads.length === 0) {
        throw new AppError('NOT_FOUND', `There is no company ${companyId}.`, { details: { companyId } })
      }
      const [last] = await tx<{ version: number; schema: string }[]>`
        select version, schema from ledger_schemas
        where company_id = ${companyId} and kind = ${kind} order by version desc limit 1`
      if (last?.schema === text) return { value: last.version, records: [] }
      const [row] = await tx<[{ kinds: number }]>`
        select count(distinct kind)::integer as kinds from ledger_schemas where company_id = ${companyId}`
      if (last === undefined && row.kinds >= maxKinds) {
        throw listTooLong(`A company has schemas for at most ${maxKinds} kinds.`, maxKinds)
      }
      const version = (last?.version ?? 0) + 1
      await tx`
        insert into ledger_schemas (company_id, kind, version, schema) values (${companyId}, ${kind}, ${version}, ${text})`
      await tx`update ledger_heads set schemas = schemas + 1 where company_id = ${companyId}`
      return {
        value: version,
        records: [
          {
            kind: 'schema.registered',
            source: ownSource,
            stream: `schema/${kind}`,
            data: { kind, version, sha256: textHash(text).toString('hex') },
            actor,
          },
        ],
      }
    },
    scope,
  )
  return { companyId, kind, version: value, schema: text, position }
}

/** Schemas in force of many companies in one statement, by kind. Index: the primary key. */
export async function readSchemas(sql: ShardSql, companyIds: readonly CompanyId[]): Promise<RegisteredSchema[]> {
  return sql<RegisteredSchema[]>`
    select distinct on (company_id, kind) company_id as "companyId", kind, version, schema
    from ledger_schemas where company_id = any(${companyIds as CompanyId[]}::text[])
    order by company_id, kind, version desc`
}

import type { ValidateFunction } from 'ajv'
import { LRUCache } from 'lru-cache'
import { AppError, isAppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import type { ShardSql } from '../../store/store.ts'
import type { PreparedItem } from '../prepare.ts'
import { compileSchema, validate } from './compile.ts'

interface CompanySchemas {
  /** Of registrations so far; the append's lock tells whether it still holds. */
  readonly number: number
  readonly byKind: ReadonlyMap<string, { version: number; check: ValidateFunction }>
}

const none: CompanySchemas = { number: 0, byKind: new Map() }

/**
 * Schemas in force, as far as this process knows. It need not ask before an append: the append itself says under its lock
 * whether what it was validated with is out of date, and then `load` and validate again.
 */
export interface SchemaCache {
  number(companyId: CompanyId): number
  /** @throws AppError SCHEMA_VIOLATION with details.path */
  check(companyId: CompanyId, item: PreparedItem): void
  load(sql: ShardSql, companyId: CompanyId): Promise<void>
}

export function createSchemaCache(maxCompanies = 1000): SchemaCache {
  const known = new LRUCache<CompanyId, CompanySchemas>({ max: maxCompanies })
  return {
    number: (companyId) => (known.get(companyId) ?? none).number,
    check(companyId, item) {
      const { byKind } = known.get(companyId) ?? none
      if (byKind.size === 0) return
      for (const [index, record] of item.records.entries()) {
        const schema = byKind.get(record.kind)
        if (schema === undefined) continue
        try {
          validate(schema.check, parseJsonText(record.data), record.kind, schema.version)
        } catch (error) {
          if (!isAppError(error, 'SCHEMA_VIOLATION')) throw error
          const path = `$.records[${index}].data${String(error.details['path']).slice(1)}`
          throw new AppError(error.code, error.message, { cause: error, details: { ...error.details, path } })
        }
      }
    },
    async load(sql, companyId) {
      const rows = await sql<{ number: number; kind: string | null; version: number; schema: string }[]>`
        select h.schemas as number, s.kind, s.version, s.schema
        from ledger_heads h
        left join (
          select distinct on (kind) kind, version, schema from ledger_schemas
          where company_id = ${companyId} order by kind, version desc
        ) s on true
        where h.company_id = ${companyId}`
      const byKind = new Map<string, { version: number; check: ValidateFunction }>()
      for (const { kind, version, schema } of rows) {
        if (kind !== null) byKind.set(kind, { version, check: compileSchema(schema) })
      }
      known.set(companyId, { number: rows[0]?.number ?? 0, byKind })
    },
  }
}

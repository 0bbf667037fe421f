import { AppError } from './errors.ts'
import { uuidv7 } from './uuid.ts'

declare const brand: unique symbol
type Branded<T, B extends string> = T & { readonly [brand]: B }

/** `[a-z0-9.-]+`, at most 64 characters; a UUIDv7 unless the caller supplied it. Never reused. */
export type CompanyId = Branded<string, 'CompanyId'>
/** `<companyId>:<position>`: a record's id routes itself. */
export type RecordId = Branded<string, 'RecordId'>
/** The name an operator gave to a shard, `[a-z0-9-]+`. */
export type ShardId = Branded<string, 'ShardId'>

const companyIdPattern = /^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/
const shardIdPattern = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/
const positionPattern = /^(?:0|[1-9][0-9]{0,14})$/

/** @throws AppError INVALID_ID */
export function parseCompanyId(value: string): CompanyId {
  if (!companyIdPattern.test(value)) {
    throw new AppError('INVALID_ID', 'A company id is 1 to 64 characters of a-z, 0-9, "." and "-".')
  }
  return value as CompanyId
}

/** @throws AppError INVALID_ID */
export function parseShardId(value: string): ShardId {
  if (!shardIdPattern.test(value)) {
    throw new AppError('INVALID_ID', 'A shard name is 1 to 32 characters of a-z, 0-9 and "-".')
  }
  return value as ShardId
}

export function recordId(companyId: CompanyId, position: number): RecordId {
  return `${companyId}:${position}` as RecordId
}

/** @throws AppError INVALID_ID */
export function parseRecordId(value: string): { companyId: CompanyId; position: number } {
  const colon = value.lastIndexOf(':')
  const position = value.slice(colon + 1)
  if (colon < 1 || !positionPattern.test(position)) {
    throw new AppError('INVALID_ID', 'A record id is "<companyId>:<position>", for example "acme:0".')
  }
  return { companyId: parseCompanyId(value.slice(0, colon)), position: Number(position) }
}

export function newCompanyId(nowMs?: number): CompanyId {
  return uuidv7(nowMs) as CompanyId
}

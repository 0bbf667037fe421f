import { createHash, randomBytes } from 'node:crypto'
import { AppError } from './errors.ts'

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

/** UUID version 7 (RFC 9562 section 5.7): 48 bits of Unix milliseconds, the rest random. */
export function uuidv7(nowMs: number = Date.now()): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(nowMs, 0, 6)
  return formatUuid(bytes, 7)
}

/** UUID version 5 (RFC 9562 section 5.5): the same namespace and name give the same id, so imports can be repeated. */
export function uuidv5(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest()
  return formatUuid(hash.subarray(0, 16), 5)
}

export function newCompanyId(nowMs?: number): CompanyId {
  return uuidv7(nowMs) as CompanyId
}

function formatUuid(bytes: Buffer, version: number): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | (version << 4), 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

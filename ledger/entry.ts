import { randomBytes } from 'node:crypto'
import { canonicalJson } from '../core/json/canonical.ts'
import { sha256 } from '../core/sha256.ts'

/**
 * What is hashed of a record, as `docs/ledger-format.md` fixes it. Pure: the append does the same in SQL, where the
 * position, the version and the time become known under the chain's lock, and a test holds the two together.
 */

/** The length of every hash, salt and commitment. */
export const hashBytes = 32

/** Stands for the previous leaf of position 0, and for the private commitment of a record without a private part. */
export const zeroHash: Buffer = Buffer.alloc(hashBytes)

const entryFormat = 'ledgerway-entry/v1'

const originPattern = /^[a-z0-9.-]+\/[a-z0-9.-]+$/

export interface RecordHeader {
  readonly kind: string
  readonly source: string
  readonly stream: string
  /** Of the stream, from 1. */
  readonly version: number
  readonly recordedAt: string
  readonly occurredAt?: string | undefined
  readonly actor?: string | undefined
  /** Idempotency key. */
  readonly key?: string | undefined
  readonly causation?: string | undefined
}

export interface Entry {
  readonly origin: string
  readonly position: number
  readonly previousLeaf: Uint8Array
  readonly headerHash: Uint8Array
  readonly dataCommitment: Uint8Array
  /** `zeroHash` where there is no private part. */
  readonly privateCommitment: Uint8Array
}

/** `<deployment>/<companyId>`: names the ledger in every entry, checkpoint and key. */
export function originOf(deployment: string, companyId: string): string {
  const origin = `${deployment}/${companyId}`
  if (!originPattern.test(origin)) throw new TypeError('a deployment and a company id are of a-z, 0-9, "." and "-"')
  return origin
}

/** The header's RFC 8785 text; absent fields are left out. @throws AppError JSON_LONE_SURROGATE */
export function headerText(header: RecordHeader): string {
  const { beforeTime, beforeVersion, end } = headerParts(header)
  return beforeTime + header.recordedAt + beforeVersion + header.version + end
}

/**
 * The header's text around the two values that only the chain's lock makes known:
 * `beforeTime + recordedAt + beforeVersion + version + end`. The sorted order of the fields is theirs by luck: `version`
 * comes last, and `recordedAt` needs no escape.
 * @throws AppError JSON_LONE_SURROGATE
 */
export function headerParts(header: Omit<RecordHeader, 'version' | 'recordedAt'>): {
  beforeTime: string
  beforeVersion: string
  end: string
} {
  const optional = (['actor', 'causation', 'key'] as const).map((name) => field(name, header[name]))
  const beforeTime = `{${optional.join('')}${field('kind', header.kind)}${field('occurredAt', header.occurredAt)}"recordedAt":"`
  const beforeVersion = `",${field('source', header.source)}${field('stream', header.stream)}"version":`
  return { beforeTime, beforeVersion, end: '}' }
}

const field = (name: string, value: string | undefined): string =>
  value === undefined ? '' : `"${name}":${canonicalJson(value)},`

/** SHA-256 of a header's or any other text's UTF-8 bytes. */
export function textHash(text: string): Buffer {
  return sha256(text)
}

export function newSalt(): Buffer {
  return randomBytes(hashBytes)
}

/** SHA-256(salt || canonical text): hides the text as long as the salt is unknown. */
export function commitment(salt: Uint8Array, text: string): Buffer {
  if (salt.length !== hashBytes) throw new TypeError(`a salt has ${hashBytes} bytes`)
  return sha256(Buffer.concat([salt, Buffer.from(text, 'utf8')]))
}

/** The entry's seven lines. */
export function entryText(entry: Entry): string {
  return `${entryFormat}\n${entry.origin}\n${entry.position}\n${base64(entry.previousLeaf)}\n${base64(entry.headerHash)}\n${base64(entry.dataCommitment)}\n${base64(entry.privateCommitment)}\n`
}

/** SHA-256(0x00 || entry): RFC 6962's leaf hash and the link of the chain at once. */
export function leafOf(entry: Entry): Buffer {
  return sha256(`\0${entryText(entry)}`)
}

function base64(bytes: Uint8Array): string {
  if (bytes.length !== hashBytes) throw new TypeError(`a hash has ${hashBytes} bytes`)
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

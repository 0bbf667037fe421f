import type { JsonObject } from '../core/json/canonical.ts'
import type { CompanyId, RecordId } from '../core/ids.ts'

/** What a caller appends. The ledger adds position, version and time. */
export interface NewRecord {
  readonly kind: string
  /** The system that the record comes from. */
  readonly source: string
  /** What it is about; versions are counted per stream. */
  readonly stream: string
  readonly data: JsonObject
  /** When it happened, by the caller's word: ISO 8601 with an offset, to the millisecond at most. */
  readonly occurredAt?: string | null | undefined
  /** Who: an id, never a person's name. */
  readonly actor?: string | null | undefined
  /** Idempotency key, unique in the ledger. */
  readonly key?: string | null | undefined
  readonly causation?: string | null | undefined
  /** The personal part. `subject` names the person by an opaque id: erasing it erases all of that person's parts. */
  readonly private?: { readonly subject: string; readonly data: JsonObject } | null | undefined
}

/** The version a stream must have for an append to happen; 0 and `none`: it must not exist yet. */
export interface Expectation {
  readonly stream: string
  readonly version: number | 'none' | 'any'
}

/** A record as stored. All times are text in the ledger's format, `2026-01-31T12:00:00.000Z`. */
export interface LedgerRecord {
  readonly id: RecordId
  readonly companyId: CompanyId
  readonly position: number
  /** Position of the first record of the same append; not part of what is hashed. */
  readonly batchId: number
  readonly kind: string
  readonly source: string
  readonly stream: string
  /** Of the stream, from 1. */
  readonly version: number
  /** RFC 8785 text as hashed, or null where it was erased. */
  readonly data: string | null
  readonly occurredAt: string | null
  readonly recordedAt: string
  readonly actor: string | null
  readonly key: string | null
  readonly causation: string | null
  readonly header: string
  readonly leaf: Buffer
  readonly previousLeaf: Buffer
}

/** A record as an append answers it: `duplicate` when its key had been used for it before. */
export interface AppendedRecord extends LedgerRecord {
  readonly duplicate: boolean
}

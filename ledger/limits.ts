/** Bounds of one append. Each answers with a code of its own or BAD_USER_INPUT naming the field. */
export interface LedgerLimits {
  /** Canonical bytes of one payload, and of one private part. */
  readonly maxPayloadBytes: number
  /** Canonical bytes of all payloads of one append. */
  readonly maxBatchBytes: number
  readonly maxDepth: number
  /** Payloads of at least this many bytes are stored compressed. */
  readonly packFromBytes: number
  /** Appends that may wait for their turn on one ledger; more answer OVERLOADED. */
  readonly maxWaiting: number
  /** Records that travel together, of one caller or of several. */
  readonly maxGroupRecords: number
}

/** Fixed: it is part of the API's contract. */
export const maxRecordsPerAppend = 1000

export const defaultLedgerLimits: LedgerLimits = {
  maxPayloadBytes: 4 * 1024 * 1024,
  maxBatchBytes: 32 * 1024 * 1024,
  maxDepth: 64,
  packFromBytes: 8 * 1024,
  maxWaiting: 1024,
  maxGroupRecords: 1000,
}

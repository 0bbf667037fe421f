import type { CompanyId, ShardId } from '../core/ids.ts'

/** One advance of a ledger's head, as the feed gives it: records `from` to `from + count - 1`. */
export interface Change {
  readonly shard: ShardId
  /** Gap-free per shard, from 1. */
  readonly feedPosition: number
  readonly companyId: CompanyId
  readonly from: number
  readonly count: number
  /** The distinct kinds of those records. */
  readonly kinds: readonly string[]
  /** Write-ahead log position of the shard (`pg_lsn` text) that covers those records: a read at it shows them. */
  readonly lsn?: string
}

/** Bus channel of the relays' rounds: a JSON array of `Change`. */
export const changesChannel = 'changes'
/** Bus channel that wakes a shard's relay after a commit: the shard's name. */
export const dirtyChannel = 'dirty'

export function encodeChanges(changes: readonly Change[]): string {
  return JSON.stringify(changes)
}

/** What arrives by the bus comes from our own relays; a message in another release's shape is dropped, the poll finds it. */
export function decodeChanges(message: string): readonly Change[] {
  try {
    const changes: unknown = JSON.parse(message)
    return Array.isArray(changes) ? changes.filter(isChange) : []
  } catch {
    return []
  }
}

function isChange(value: unknown): value is Change {
  if (typeof value !== 'object' || value === null) return false
  const change = value as Partial<Change>
  return (
    typeof change.shard === 'string' &&
    typeof change.companyId === 'string' &&
    Number.isSafeInteger(change.feedPosition) &&
    Number.isSafeInteger(change.from) &&
    Number.isSafeInteger(change.count) &&
    Array.isArray(change.kinds)
  )
}

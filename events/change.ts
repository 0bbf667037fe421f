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
}

/** Bus channel of the relays' rounds: a JSON array of `Change`. */
export const changesChannel = 'changes'
/** Bus channel that wakes a shard's relay after a commit: the shard's name. */
export const dirtyChannel = 'dirty'

import type { PositionToken } from '../core/position.ts'

/** An answer as it is kept. Its tags name what it holds; it is gone as soon as one of them is invalidated. */
export interface KeptAnswer {
  /** JSON text. */
  readonly text: string
  /** At most `maxTags`. */
  readonly tags: readonly string[]
  /** How long it may be given out, from when its load began. */
  readonly maxAgeMs: number
  /** What the load has at least seen of each shard; absent where nothing is known. */
  readonly position?: PositionToken
}

export interface FoundAnswer {
  readonly text: string
  /** Since its load began. */
  readonly ageMs: number
  readonly position?: PositionToken
}

/** Taken before a load begins. What was invalidated after it may have been missed by the load. */
export interface LoadStamp {
  /** How many invalidations there had been. */
  readonly count: number
  /** Unix milliseconds by the cache's clock. */
  readonly atMs: number
  /**
   * How far the changes went that were invalidated so far. The load MUST read at this position: a replica that lags would
   * give what was just invalidated, and it would be kept as new.
   */
  readonly position: PositionToken
}

export type CacheLookup =
  /** With a stamp, for who cannot use the answer and loads all the same. */
  | { readonly state: 'hit'; readonly answer: FoundAnswer; readonly stamp: LoadStamp }
  /**
   * Load, then `put` with this stamp. Who got the lease is the one to load, and MUST `put` or `release`; without it somebody
   * else is loading just now, and looking again shortly is cheaper than loading too.
   */
  | { readonly state: 'miss'; readonly stamp: LoadStamp; readonly lease?: string }
  /** The cache cannot be asked: load, and do not `put`. */
  | { readonly state: 'bypass' }

/**
 * Whole answers by key. Never rejects: a cache that is gone is a `bypass`, and what it could not be told of is not given
 * out later. The order of things is what makes it exact: a stamp is taken before the load, an invalidation counts from the
 * moment it is known, and `put` stores only if none of the tags was invalidated since the stamp. So an answer that was
 * loaded before a change and arrives after its invalidation is never stored.
 */
export interface AnswerCache extends AsyncDisposable {
  get(key: string): Promise<CacheLookup>
  /** Whether it was stored: not where a tag was invalidated since `stamp`, or where it is too large. Ends the lease. */
  put(key: string, answer: KeptAnswer, stamp: LoadStamp, lease?: string): Promise<boolean>
  /** For who holds the lease and has nothing to put. */
  release(key: string, lease: string): Promise<void>
  /** @param position of the changes that made the tags invalid: loads from now on must see it */
  invalidate(tags: readonly string[], position?: PositionToken): Promise<void>
  /** Everything: for when invalidations may have been missed. */
  clear(): Promise<void>
  /** Whether it is used: not while its server does not answer, or has not been told of what became invalid. */
  healthy(): boolean
}

/** On every answer, and invalidated by `clear`. */
export const everything = '*'
export const maxTags = 500
/** Nothing is kept longer, whatever its hints say; tags need only be remembered as long. */
export const maxKeptMs = 3_600_000
export const maxAnswerCharacters = 2_000_000
/** A lease whose holder is gone ends by itself. */
export const leaseMs = 2_000

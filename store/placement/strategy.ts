import type { ShardId } from '../../core/ids.ts'

/** Fixed for good: the directory is a list of so many entries. */
export const bucketCount = 4096

export interface PlacementShard {
  readonly id: ShardId
  /** Where its servers are (`eu`, `us`, …); used by the geographic strategy alone. */
  readonly region: string
}

/**
 * Where companies lie. Both functions are pure: the same arguments give the same answer in every process and release.
 * `bucketOf` MUST never change for a deployment once it holds a company.
 */
export interface Strategy {
  /** Those that an id may begin with to stay there (`eu.acme`); none where placement does not look at regions. */
  readonly regions: readonly string[]
  bucketOf(companyId: string): number
  /** One shard for each of the buckets. `shards` holds at least one. */
  assign(shards: readonly PlacementShard[]): ShardId[]
}

import type { ShardId } from '../../core/ids.ts'
import { bucketCount, type Strategy } from './strategy.ts'

/** The characters of a company id in the order of `collate "C"`. */
const alphabet = '-.0123456789abcdefghijklmnopqrstuvwxyz'

/**
 * Ids in order, buckets in order, each shard a run of them: ids with a common prefix lie together. For ids that the
 * operator hands out evenly over the alphabet; UUIDv7 ids share their first characters and would all meet on one shard.
 */
export function range(): Strategy {
  return {
    regions: [],
    bucketOf(companyId) {
      let fraction = 0
      for (let i = 7; i >= 0; i--) {
        // A missing character sorts before every other.
        fraction = (fraction + alphabet.indexOf(companyId.charAt(i)) * Number(i < companyId.length) + 1) / 39
      }
      return Math.min(bucketCount - 1, Math.floor(fraction * bucketCount))
    },
    assign: (shards) =>
      Array.from({ length: bucketCount }, (_, bucket) => {
        return shards[Math.floor((bucket * shards.length) / bucketCount)]?.id as ShardId
      }),
  }
}

import type { ShardId } from '../../core/ids.ts'
import { hash32 } from './hash.ts'
import { bucketCount, type Strategy } from './strategy.ts'

/** No shard gets more than this over its equal share; virtual nodes alone leave about 8 per cent of spread. */
const headroom = 1.03

/**
 * Consistent hashing with virtual nodes (Karger et al. 1997) and bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016): a
 * bucket goes to the next point on the ring whose shard still has room. An added shard takes its share from all others.
 */
export function consistentHash({ virtualNodes }: { virtualNodes: number }): Strategy {
  return {
    regions: [],
    bucketOf: (companyId) => hash32(companyId) % bucketCount,
    assign: (shards) =>
      assignOnRing(
        shards.map(({ id }) => id),
        Array.from({ length: bucketCount }, (_, bucket) => bucket),
        virtualNodes,
      ),
  }
}

/** The shard of each of `buckets`, in their order. */
export function assignOnRing(shards: readonly ShardId[], buckets: readonly number[], virtualNodes: number): ShardId[] {
  const ring = shards
    .flatMap((shard) => Array.from({ length: virtualNodes }, (_, i) => ({ shard, at: hash32(`${shard}#${i}`) })))
    .sort((a, b) => a.at - b.at || (a.shard < b.shard ? -1 : 1))
  const room = Math.ceil((buckets.length / shards.length) * headroom)
  const load = new Map(shards.map((shard) => [shard, 0]))
  const owners = new Map<number, ShardId>()
  // In the order of a hash of their own, so that the buckets passed on by a full shard are spread over the ring.
  const order = buckets.map((bucket) => ({ bucket, at: hash32(`bucket ${bucket}`) })).sort((a, b) => a.at - b.at)
  for (const { bucket, at } of order) {
    let index = firstAtOrAfter(ring, at)
    for (;;) {
      const point = ring[index % ring.length]
      if (point === undefined) throw new RangeError('no shard to place a bucket on')
      const used = load.get(point.shard) ?? 0
      if (used < room) {
        load.set(point.shard, used + 1)
        owners.set(bucket, point.shard)
        break
      }
      index += 1
    }
  }
  return buckets.map((bucket) => owners.get(bucket) as ShardId)
}

function firstAtOrAfter(ring: readonly { at: number }[], at: number): number {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ring[middle]?.at ?? 0) < at) low = middle + 1
    else high = middle
  }
  return low
}

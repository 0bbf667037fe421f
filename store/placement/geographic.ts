import type { ShardId } from '../../core/ids.ts'
import { assignOnRing } from './consistent-hash.ts'
import { hash32 } from './hash.ts'
import { bucketCount, type PlacementShard, type Strategy } from './strategy.ts'

/**
 * Data stays in its region: an id that begins with a region's name and a dot (`eu.acme`) lies on one of that region's
 * shards, by consistent hashing among them; any other id in the first region. Each region has an equal run of buckets,
 * so the list of regions is fixed at the first start. A region without a shard is served by the first region's.
 */
export function geographic(config: { regions: readonly string[]; virtualNodes: number }): Strategy {
  const { regions, virtualNodes } = config
  const start = (region: number): number => Math.floor((region * bucketCount) / regions.length)
  return {
    regions,
    bucketOf(companyId) {
      const dot = companyId.indexOf('.')
      const named = dot < 0 ? -1 : regions.indexOf(companyId.slice(0, dot))
      const region = Math.max(0, named)
      return start(region) + (hash32(companyId) % (start(region + 1) - start(region)))
    },
    assign(shards) {
      const inRegion = (region: string | undefined): readonly PlacementShard[] =>
        shards.filter((shard) => shard.region === region)
      const home = inRegion(regions[0]).length > 0 ? inRegion(regions[0]) : shards
      const assignment: ShardId[] = []
      for (const [index, region] of regions.entries()) {
        const own = inRegion(region).length > 0 ? inRegion(region) : home
        const buckets = Array.from({ length: start(index + 1) - start(index) }, (_, i) => start(index) + i)
        assignment.push(
          ...assignOnRing(
            own.map(({ id }) => id),
            buckets,
            virtualNodes,
          ),
        )
      }
      return assignment
    },
  }
}

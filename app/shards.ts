import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Bus } from '../events/bus.ts'
import { announceDirectory } from '../events/directory.ts'
import { createShardAdmin, type ShardAdmin } from '../store/admin.ts'
import { createMover, type Mover } from '../store/move/mover.ts'
import { createRebalancer, type Rebalancer } from '../store/move/rebalance.ts'
import type { PlacementConfig } from '../store/placement/create-strategy.ts'
import { regionOf, type ShardConfig } from '../store/shard-config.ts'
import type { Store } from '../store/store.ts'

/**
 * The shards with their regions. @throws AppError CONFIG_INVALID for a region of no shard, and under geographic placement
 * for a shard of no region: it would never hold a company
 */
export function placeShards(
  shards: readonly ShardConfig[],
  { placement, shardRegions }: { placement: PlacementConfig | undefined; shardRegions: ReadonlyMap<ShardId, string> },
): ShardConfig[] {
  const unknown = [...shardRegions.keys()].find((name) => shards.every((shard) => shard.name !== name))
  if (unknown !== undefined) throw new AppError('CONFIG_INVALID', `SHARD_REGIONS: there is no shard "${unknown}".`)
  const placed = shards.map((shard) => {
    const region = shardRegions.get(shard.name)
    return region === undefined ? shard : { ...shard, region }
  })
  if (placement?.kind !== 'geographic') return placed
  const outside = placed.find((shard) => !placement.regions.includes(regionOf(shard)))
  if (outside !== undefined) {
    throw new AppError(
      'CONFIG_INVALID',
      `The shard "${outside.name}" is in the region "${regionOf(outside)}", which PLACEMENT_REGIONS does not name: name it there, or the shard's region in SHARD_REGIONS.`,
    )
  }
  return placed
}

export interface ShardParts {
  readonly mover: Mover
  readonly rebalancer: Rebalancer
  readonly admin: ShardAdmin
}

/** What moves companies between shards; every change of the directory is told to the other processes. */
export function composeShards(deps: {
  store: Store
  bus: Bus
  shards: readonly ShardConfig[]
  logger: Logger
}): ShardParts {
  const { store, bus, shards } = deps
  const logger = deps.logger.child({ part: 'shards' })
  const onDirectoryChanged = (): Promise<void> => announceDirectory(bus)
  const mover = createMover({ store, logger, onDirectoryChanged })
  const rebalancer = createRebalancer({ store, mover, logger, onDirectoryChanged })
  const admin = createShardAdmin({ store, mover, rebalancer, shards, logger, onDirectoryChanged })
  return { mover, rebalancer, admin }
}

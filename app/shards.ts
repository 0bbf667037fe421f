import type { Logger } from '../core/log.ts'
import type { Bus } from '../events/bus.ts'
import { announceDirectory } from '../events/directory.ts'
import { createShardAdmin, type ShardAdmin } from '../store/admin.ts'
import { createMover, type Mover } from '../store/move/mover.ts'
import { createRebalancer, type Rebalancer } from '../store/move/rebalance.ts'
import type { ShardConfig } from '../store/shard-config.ts'
import type { Store } from '../store/store.ts'

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

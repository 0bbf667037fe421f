import { AppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { loadDirectory, overridesOf, type Directory } from './directory.ts'
import type { MoveFilter } from './move/list-moves.ts'
import { findMove, steerMove, steerMoves, type Move } from './move/move-row.ts'
import type { Mover } from './move/mover.ts'
import type { Rebalance, Rebalancer } from './move/rebalance.ts'
import { promote } from './promote.ts'
import { serverKey } from './server-key.ts'
import type { ShardConfig } from './shard-config.ts'
import type { ServerStats, Store } from './store.ts'

export interface ShardInfo {
  readonly name: ShardId
  readonly region: string
  readonly generation: number
  readonly buckets: number
  /** Companies that lie here though their bucket lies elsewhere. */
  readonly overrides: number
  /** Whether this process knows its servers (SHARDS). */
  readonly configured: boolean
  /** `host:port/database` of the server that takes the writes; null where this process does not know it. */
  readonly primaryKey: string | null
  readonly servers: readonly (ServerStats & { readonly key: string })[]
}

/** What a word to all of them changed. */
export interface Steered {
  readonly moves: readonly Move[]
  readonly rebalance: Rebalance | null
}

/** What operators do with shards: for the command line, the operations API and jobs. */
export interface ShardAdmin {
  list(): Promise<ShardInfo[]>
  /**
   * Makes a shard that SHARDS names part of the deployment, and answers once it can take companies. It holds none before
   * `rebalance`; every process MUST know it by then. @throws AppError NOT_FOUND | SHARD_UNAVAILABLE
   */
  add(shard: ShardId): Promise<ShardInfo>
  /** Plans a move of one company; `mover.run` does it. */
  move(companyId: CompanyId, target: ShardId): Promise<Move>
  /** Newest first. */
  moves(filter: MoveFilter, limit: number): Promise<Move[]>
  /** @throws AppError NOT_FOUND */
  findMove(moveId: number): Promise<Move>
  /** @throws AppError NOT_FOUND | INVALID_TRANSITION */
  pause(moveId: number): Promise<Move>
  resume(moveId: number): Promise<Move>
  cancel(moveId: number): Promise<Move>
  /** Every move that is open, and the rebalance under way, which plans no further ones; answers what this changed. */
  pauseAll(): Promise<Steered>
  resumeAll(): Promise<Steered>
  /** See `Rebalancer`; `rebalancer.run`, or a worker, does it. */
  rebalance(): Promise<Rebalance>
  /** `server` is a replica's `host:port/database`; optional where there is one replica. See `promote`. */
  promote(shard: ShardId, options: { server?: string; acceptLoss?: boolean }): Promise<{ lost: 'nothing' | 'unknown' }>
}

export function createShardAdmin(deps: {
  store: Store
  mover: Mover
  rebalancer: Rebalancer
  shards: readonly ShardConfig[]
  logger: Logger
  /** After the directory has changed: tell the other processes. */
  onDirectoryChanged?: () => Promise<void> | void
}): ShardAdmin {
  const { store, mover, rebalancer, shards: configs, logger } = deps
  const { catalog } = store

  async function changed(): Promise<void> {
    await store.refresh()
    await deps.onDirectoryChanged?.()
  }

  function infoOf(directory: Directory, name: ShardId): ShardInfo {
    const shard = directory.shards.get(name)
    if (shard === undefined) throw new AppError('NOT_FOUND', `There is no shard "${name}".`)
    const config = configs.find((candidate) => candidate.name === name)
    const urls = config === undefined ? [] : [config.primaryUrl, ...config.replicaUrls]
    const stats = store.poolStats().filter((entry) => entry.shard === name)
    return {
      name,
      region: shard.region,
      generation: shard.generation,
      buckets: directory.buckets.filter((owner) => owner === name).length,
      overrides: overridesOf(directory, name),
      configured: config !== undefined,
      primaryKey: shard.primaryServer ?? (config === undefined ? null : serverKey(config.primaryUrl)),
      servers: stats.map((entry, i) => ({ ...entry, key: serverKey(urls[i] ?? '') })),
    }
  }

  return {
    async list() {
      const [directory] = await Promise.all([loadDirectory(catalog), store.observe()])
      return [...directory.shards.keys()].map((name) => infoOf(directory, name))
    },
    async add(shard) {
      if (!store.shards.includes(shard)) {
        throw new AppError(
          'NOT_FOUND',
          `SHARDS does not name "${shard}". Add it there, for every process, then start again.`,
        )
      }
      await store.onPrimary(shard, (sql) => sql`select from shard_identity`)
      return infoOf(await loadDirectory(catalog), shard)
    },
    move: (companyId, target) => mover.plan(companyId, target),
    async moves(filter, limit) {
      const { listMoves } = await import('./move/list-moves.ts')
      return listMoves(catalog, filter, limit)
    },
    findMove: (moveId) => findMove(catalog, moveId),
    pause: (moveId) => steerMove(catalog, moveId, { paused: true }),
    resume: (moveId) => steerMove(catalog, moveId, { paused: false }),
    cancel: (moveId) => steerMove(catalog, moveId, { cancel: true, paused: false }),
    async pauseAll() {
      // First whoever plans moves, so that none is planned after the others were told.
      const rebalance = await rebalancer.steer(true)
      return { rebalance, moves: await steerMoves(catalog, true) }
    },
    async resumeAll() {
      const rebalance = await rebalancer.steer(false)
      return { rebalance, moves: await steerMoves(catalog, false) }
    },
    rebalance: () => rebalancer.request(),
    async promote(shard, { server, acceptLoss = false }) {
      const config = configs.find(({ name }) => name === shard)
      if (config === undefined) throw new AppError('NOT_FOUND', `SHARDS does not name "${shard}".`)
      const [only, ...others] = config.replicaUrls
      const chosen = server ?? (only === undefined || others.length > 0 ? undefined : serverKey(only))
      if (chosen === undefined) throw new AppError('BAD_USER_INPUT', 'Name the replica as host:port/database.')
      const { lost } = await promote({ catalog, config, server: chosen, acceptLoss, logger })
      await changed()
      return { lost }
    },
  }
}

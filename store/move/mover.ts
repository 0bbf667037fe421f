import { setTimeout } from 'node:timers/promises'
import { AppError, isAppError } from '../../core/errors.ts'
import type { CompanyId, ShardId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import { formatLsn } from '../../core/position.ts'
import type { Sql } from 'postgres'
import { type Directory, loadDirectory, locate } from '../directory.ts'
import type { ShardSql, Store } from '../store.ts'
import { companyTables, countRows, requireSameTables, type CompanyTable } from './company-tables.ts'
import { closeCompany, deleteRows, holdPlace, openCompany, reopenCompany, takePlace } from './fence.ts'
import {
  findMove,
  idleMoves,
  leaseMs,
  MoveInterrupted,
  planMove,
  renewMove,
  setMove,
  takeMove,
  type HeldMove,
  type Move,
} from './move-row.ts'
import { syncOnce, type SyncDeps, type SyncResult } from './sync.ts'

export interface MoverDeps {
  readonly store: Store
  readonly logger: Logger
  /** After the directory has changed: tell the other processes. */
  readonly onDirectoryChanged?: () => Promise<void> | void
  /**
   * The old copy stays this long after the flip, for reads that began before it and for processes that have not heard
   * of it; the move is `flipped` until then, and `runIdle` ends it.
   */
  readonly cleanupDelayMs?: number
  /** Called at every step, with its name: for progress, and for tests that break it there. */
  readonly onStep?: (step: MoveStep, move: Move) => Promise<void> | void
}

export type MoveStep = 'taken' | 'copied' | 'verified' | 'fenced' | 'drained' | 'opened' | 'flipped' | 'cleaned'

export interface Mover {
  /** Plans the move of a company; `run` does it. @throws AppError NOT_FOUND | BAD_USER_INPUT | ALREADY_EXISTS | SHARD_UNAVAILABLE */
  plan(companyId: CompanyId, target: ShardId): Promise<Move>
  /**
   * Works at a move until the company has moved, or it failed, was paused or cancelled, or another process has it; answers
   * with how it stands then. Safe to call at any time and after any crash. @throws AppError SHARD_UNAVAILABLE, to be called again later
   */
  run(id: number, signal?: AbortSignal): Promise<Move>
  /** Takes up the moves nobody works at; for a worker to call every few seconds. Answers how many it worked at. */
  runIdle(signal?: AbortSignal): Promise<number>
}

/** A fence is taken down again when the rest has not been done by then. */
const fenceLimitMs = 900
/** Once a round copies no more than this, the rest is copied behind the fence. */
const smallRound = 500
const roundsBeforeFence = 10
/** Companies of up to so many rows are compared row by row behind the fence, too. */
const checksumBehindFence = 20_000
const fenceAttempts = 8
/** For Postgres, all batches that a cursor reads are one statement: a large company takes minutes. */
const statementLimitMs = 60 * 60_000

export function createMover(deps: MoverDeps): Mover {
  const { store, logger, onStep, cleanupDelayMs = 10_000 } = deps
  const { catalog } = store

  return {
    async plan(companyId, target) {
      if (!store.shards.includes(target)) throw new AppError('NOT_FOUND', `There is no shard "${target}".`)
      const directory = await loadDirectory(catalog)
      const source = locate(directory, companyId)
      await requireCompany(companyId, source)
      if (source === target) throw new AppError('BAD_USER_INPUT', 'The company is on that shard already.')
      requireRegion(directory, companyId, target)
      return planMove(catalog, { companyId, source, target })
    },
    async run(id, signal) {
      const held = await takeMove(catalog, id)
      if (held === null) return findMove(catalog, id)
      try {
        await work(held, signal)
      } catch (error) {
        await afterFailure(held, error)
        if (!(error instanceof MoveInterrupted) && !isLastingFailure(error)) throw error
      }
      return findMove(catalog, id)
    },
    async runIdle(signal) {
      const ids = await idleMoves(catalog)
      for (const id of ids) {
        if (signal?.aborted === true) break
        await this.run(id, signal).catch((error: unknown) => logger.warn({ move: id, error }, 'a move has to wait'))
      }
      return ids.length
    },
  }

  /** A bucket has a shard for any id: whether there is such a company only the shard knows. Every company has a ledger. */
  async function requireCompany(companyId: CompanyId, shard: ShardId): Promise<void> {
    const found = await store.onPrimary(shard, (sql) => sql`select from ledger_heads where company_id = ${companyId}`)
    if (found.length === 0) throw new AppError('NOT_FOUND', `There is no company ${companyId}.`)
  }

  async function work(taken: HeldMove, signal: AbortSignal | undefined): Promise<void> {
    let move = taken
    await onStep?.('taken', move)
    if (move.state === 'fenced') {
      // Whoever fenced is gone, or late and cannot flip any more. Let writes in; what is missing is little.
      move = await setMove(catalog, move, { state: 'copying' })
      await onShard(move.source, (sql) => reopenCompany(sql, move.companyId, move.lease))
    }
    if (move.state === 'copying') {
      move = await moveOver(move, signal)
      if (cleanupDelayMs > 0) {
        await setMove(catalog, move, { freeInMs: cleanupDelayMs })
        return
      }
    }
    await cleanUp(move)
  }

  async function moveOver(taken: HeldMove, signal: AbortSignal | undefined): Promise<HeldMove> {
    let move = taken
    const { companyId, source, target } = move
    const directory = await loadDirectory(catalog)
    if (locate(directory, companyId) !== source) {
      throw new AppError('INVALID_TRANSITION', 'The company is not on the shard that it was to leave.')
    }
    const bucket = directory.strategy.bucketOf(companyId)
    const tables = await onShard(source, companyTables)
    requireSameTables(tables, await onShard(target, companyTables))
    await onShard(target, (sql) => takePlace(sql, companyId, move.lease))
    if (move.rowsExpected === null) {
      const rowsExpected = await onShard(source, (sql) => countRows(sql, tables, companyId))
      move = await setMove(catalog, move, { rowsExpected })
    }

    // Renewing is due long before the lease ends; more often would only cost.
    let renewedAt = 0
    let unsaved = 0
    const step = async (rows: number): Promise<void> => {
      unsaved += rows
      if (signal?.aborted === true) throw new MoveInterrupted('lost')
      if (Date.now() - renewedAt < leaseMs / 8) return
      renewedAt = Date.now()
      await renewMove(catalog, move, unsaved)
      unsaved = 0
    }
    const sync = (syncedBefore: string | null, checksums: boolean, limit?: AbortSignal): Promise<SyncResult> => {
      const run = (sourceSql: ShardSql): Promise<SyncResult> => {
        const copy = (targetSql: ShardSql): Promise<SyncResult> => {
          const deps: SyncDeps = {
            source: sourceSql,
            target: targetSql,
            tables,
            companyId,
            holdTarget: (tx) => holdPlace(tx, companyId, move.lease),
            step,
          }
          return syncOnce(deps, { syncedBefore, checksums })
        }
        return onShard(target, copy, limit)
      }
      return onShard(source, run, limit)
    }

    // Copy and follow, until little is left; then compare every row once while writes go on.
    let before = move.syncedBefore
    for (let round = 1; ; round++) {
      const { copied, syncedBefore } = await sync(before, false)
      move = await setMove(catalog, move, { syncedBefore, rounds: 1 })
      before = syncedBefore
      await onStep?.('copied', move)
      await renewMove(catalog, move, 0)
      if (copied <= smallRound || round >= roundsBeforeFence) break
    }
    const verified = await sync(before, true)
    before = verified.syncedBefore
    move = await setMove(catalog, move, { syncedBefore: before, rounds: 1 })
    await onStep?.('verified', move)
    // The last moment for a pause: from here on it is quicker to end.
    await renewMove(catalog, move, unsaved)

    for (let attempt = 1; ; attempt++) {
      const startedAt = performance.now()
      move = await setMove(catalog, move, { state: 'fenced' })
      const limit = AbortSignal.timeout(fenceLimitMs * Math.ceil(attempt / 2))
      try {
        await onShard(
          source,
          (sql) => closeCompany(sql, companyId, { lease: move.lease, bucket, epoch: directory.epoch }),
          limit,
        )
        await onStep?.('fenced', move)
        const drained = await sync(before, verified.rows <= checksumBehindFence, limit)
        before = drained.syncedBefore
        await onStep?.('drained', move)
        const arrived = await onShard(
          target,
          (sql) => openCompany(sql, companyId, move.lease, directory.epoch, tables),
          limit,
        )
        await onStep?.('opened', move)
        const fenceMs = Math.round(performance.now() - startedAt)
        move = await flip(move, arrived, fenceMs)
        logger.info({ company: companyId, source, target, fenceMs, rows: drained.rows }, 'a company has moved')
        await onStep?.('flipped', move)
        await store.refresh().catch(() => {})
        await deps.onDirectoryChanged?.()
        return move
      } catch (error) {
        const again = limit.aborted || isAppError(error, 'OVERLOADED')
        if (!again || attempt >= fenceAttempts) throw error
        // Let writes in and follow them, then try with a little more time.
        move = await setMove(catalog, move, { state: 'copying' })
        await onShard(source, (sql) => reopenCompany(sql, companyId, move.lease))
        // Waits for what the given up round may still have in flight on the target.
        await onShard(target, (sql) => takePlace(sql, companyId, move.lease))
        await setTimeout(50 * attempt)
        const followed = await sync(before, false)
        before = followed.syncedBefore
        move = await setMove(catalog, move, { syncedBefore: before, rounds: 1 })
      }
    }
  }

  /** The moment of the move: the catalog's one transaction, possible only for who still holds the fenced move. */
  async function flip(move: HeldMove, arrived: bigint, fenceMs: number): Promise<HeldMove> {
    const { companyId, target } = move
    return catalog.begin<HeldMove>(async (tx) => {
      await tx`select from deployment for update`
      const flipped = await setMove(tx as unknown as Sql, move, { state: 'flipped', fenceMs })
      await tx`
        insert into company_overrides (company_id, shard, arrived_lsn)
        values (${companyId}, ${target}, ${formatLsn(arrived)}::pg_lsn)
        on conflict (company_id) do update set shard = excluded.shard, arrived_lsn = excluded.arrived_lsn`
      await tx`update deployment set epoch = epoch + 1`
      return flipped
    })
  }

  async function cleanUp(move: HeldMove): Promise<void> {
    const { companyId, source, lease } = move
    const tables: CompanyTable[] = await onShard(source, companyTables)
    await onShard(source, async (sql) => {
      await takePlace(sql, companyId, lease)
      await deleteRows(sql, companyId, lease, tables, () => renewMove(catalog, move, 0))
    })
    await onStep?.('cleaned', move)
    await setMove(catalog, move, { state: 'done' })
  }

  /** Leaves a move so that it can be taken up again, or, where that is no use, the company where it was. */
  async function afterFailure(taken: HeldMove, error: unknown): Promise<void> {
    const move = await setMove(catalog, taken, {}).catch(() => null)
    // Lost to another process: it is that one's now.
    if (move === null) return
    if (move.state === 'fenced') {
      await setMove(catalog, move, { state: 'copying' })
      await onShard(move.source, (sql) => reopenCompany(sql, move.companyId, move.lease))
    }
    if (move.state === 'flipped') {
      await setMove(catalog, move, { freeInMs: 0 })
      return
    }
    const cancelled = error instanceof MoveInterrupted && error.reason === 'cancelled'
    const lasting = isLastingFailure(error)
    if (!cancelled && !lasting) {
      await setMove(catalog, move, { freeInMs: 0, error: messageOf(error) })
      return
    }
    if (lasting) logger.error({ move: move.id, company: move.companyId, error }, 'a move failed')
    const tables = await onShard(move.target, companyTables)
    await onShard(move.target, async (sql) => {
      await takePlace(sql, move.companyId, move.lease)
      await deleteRows(sql, move.companyId, move.lease, tables, async () => {})
    })
    await setMove(catalog, move, cancelled ? { state: 'cancelled' } : { state: 'failed', error: messageOf(error) })
  }

  function onShard<T>(shard: ShardId, fn: (sql: ShardSql) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return store.onPrimary(shard, fn, { statementLimitMs, ...(signal === undefined ? {} : { signal }) })
  }
}

/** @throws AppError BAD_USER_INPUT where the company's data is to stay in a region that the shard is not in */
function requireRegion({ strategy, shards }: Directory, companyId: CompanyId, target: ShardId): void {
  const region = strategy.regions.find((name) => companyId.startsWith(`${name}.`))
  const there = shards.get(target)?.region
  // A region without a shard of its own is served by others.
  if (region === undefined || region === there || shards.values().every((shard) => shard.region !== region)) return
  throw new AppError('BAD_USER_INPUT', `The company is to stay in "${region}", and "${target}" is in "${there}".`)
}

/** Not worth another try: the copies differ, or the move makes no sense (any longer). */
function isLastingFailure(error: unknown): boolean {
  return isAppError(error) && !error.retryable
}

function messageOf(error: unknown): string | null {
  return error instanceof MoveInterrupted ? null : isAppError(error) ? `${error.code}: ${error.message}` : 'failed'
}

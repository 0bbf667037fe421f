import { setTimeout } from 'node:timers/promises'
import { AppError, type ErrorCode, errorCodes, isAppError } from '../core/errors.ts'
import { parseShardId } from '../core/ids.ts'
import { pause } from '../core/waker.ts'
import type { DeploymentJobRun, JobRun } from '../jobs/processing.ts'
import type { ShardAdmin } from '../store/admin.ts'
import { type Move, moveProgress } from '../store/move/move-row.ts'
import type { Mover } from '../store/move/mover.ts'
import type { Rebalance, Rebalancer } from '../store/move/rebalance.ts'

/** How often a move is asked how far it is. */
const lookMs = 300
/** A job whose work is paused looks again after this. */
const waitMs = 1_000
/** After a shard or the catalog could not be reached. */
const unreachableMs = 2_000

/**
 * Works at a move that was planned, as a job. The move's row is what counts: whoever takes it up after a crash (this job
 * again, or the company mover of any process) goes on where it was, and the job is at it for as long as anyone is. A paused
 * move frees its slot.
 */
export function createMoveJob(deps: { mover: Mover; admin: Pick<ShardAdmin, 'findMove'> }) {
  const { mover, admin } = deps
  return async ({ job, signal, progress, postpone }: JobRun): Promise<unknown> => {
    const id = Number(job.arguments['move'])
    for (;;) {
      const working = reachable(() => mover.run(id, signal))
      const ended = working.then(
        () => true,
        () => true,
      )
      while (!(await Promise.race([ended, setTimeout(lookMs, false)]))) {
        const now = await admin.findMove(id).catch(() => null)
        if (now !== null) await progress(moveProgress(now))
      }
      const move = await working
      if (move === 'unreachable') return postpone(unreachableMs)
      await progress(moveProgress(move))
      switch (move.state) {
        case 'flipped':
        case 'done':
          return { from: move.source, to: move.target, rowsCopied: move.rowsCopied, writesHeldBackMs: move.fenceMs }
        case 'copying':
        case 'fenced':
          if (move.paused || signal.aborted) return postpone(waitMs)
          // Someone else works at it.
          await pause(lookMs, signal)
          continue
        case 'failed':
        case 'cancelled':
        default:
          throw failureOf(move, 'move')
      }
    }
  }
}

/** The same for a rebalance. */
export function createRebalanceJob({ rebalancer }: { rebalancer: Rebalancer }) {
  return async ({ job, signal, progress, postpone }: DeploymentJobRun): Promise<unknown> => {
    const id = Number(job.arguments['rebalance'])
    const onProgress = (rebalance: Rebalance): void =>
      void progress(rebalanceProgress(rebalance)).catch(() => undefined)
    for (;;) {
      const rebalance = await reachable(() => rebalancer.run(id, { signal, onProgress }))
      if (rebalance === 'unreachable') return postpone(unreachableMs)
      await progress(rebalanceProgress(rebalance))
      switch (rebalance.state) {
        case 'done':
          return { buckets: rebalance.buckets, companiesMoved: rebalance.companiesMoved }
        case 'running':
          if (rebalance.paused || signal.aborted) return postpone(waitMs)
          await pause(lookMs, signal)
          continue
        case 'failed':
        case 'cancelled':
        default:
          throw failureOf(rebalance, 'rebalance')
      }
    }
  }
}

/** Promotes a replica that is none yet. Killed at any step, it is done again from the start, which each step allows. */
export function createPromotionJob({ admin }: { admin: Pick<ShardAdmin, 'promote' | 'list'> }) {
  return async ({ job }: DeploymentJobRun): Promise<unknown> => {
    const shard = parseShardId(String(job.arguments['shard']))
    const server = String(job.arguments['server'])
    const acceptLoss = job.arguments['acceptLoss'] === true
    try {
      return { shard, server, ...(await admin.promote(shard, { server, acceptLoss })) }
    } catch (error) {
      // Killed between its last step and its answer.
      const info = (await admin.list()).find(({ name }) => name === shard)
      const done = isAppError(error, 'INVALID_TRANSITION') && info?.primaryKey === server
      if (!done) throw error
      return { shard, server, lost: acceptLoss ? 'unknown' : 'nothing' }
    }
  }
}

function rebalanceProgress({ state, buckets, bucketsLeft }: Rebalance): number {
  return state === 'done' ? 1 : buckets === 0 ? 0 : (buckets - bucketsLeft) / buckets
}

/**
 * What ends a try here ends no more than that: the work is open in the catalog, where others take it up for as long as it
 * takes, so no number of tries may end its job. Work that cannot go on is not thrown: its row says `failed`.
 */
async function reachable<T>(run: () => Promise<T>): Promise<T | 'unreachable'> {
  try {
    return await run()
  } catch (error) {
    if (isAppError(error) && !error.retryable) throw error
    return 'unreachable'
  }
}

function failureOf({ state, error }: Pick<Move | Rebalance, 'state' | 'error'>, what: string): AppError {
  if (state === 'cancelled') return new AppError('INVALID_TRANSITION', `The ${what} was cancelled.`)
  const [code = ''] = (error ?? '').split(':', 1)
  const known = Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'INTERNAL_SERVER_ERROR'
  return new AppError(known, `The ${what} failed.`)
}

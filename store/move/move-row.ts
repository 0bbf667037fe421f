import type { Sql } from 'postgres'
import { AppError } from '../../core/errors.ts'
import type { CompanyId, ShardId } from '../../core/ids.ts'

export type MoveState = 'copying' | 'fenced' | 'flipped' | 'done' | 'failed' | 'cancelled'

export interface Move {
  readonly id: number
  readonly companyId: CompanyId
  readonly source: ShardId
  readonly target: ShardId
  readonly state: MoveState
  readonly paused: boolean
  readonly rowsCopied: number
  /** Rows of the company when the copying began; null before. */
  readonly rowsExpected: number | null
  readonly rounds: number
  /** For how long writes were held back; null until then. */
  readonly fenceMs: number | null
  readonly error: string | null
}

/** A move taken up by this process, for as long as it renews the lease. */
export interface HeldMove extends Move {
  readonly lease: number
  readonly cancel: boolean
  readonly syncedBefore: string | null
}

/** A mover that is killed holds back writes of one company for at most this long, until another takes the move up. */
export const leaseMs = 4_000

/** Thrown where the lease went to another process, or an operator paused or cancelled the move. */
export class MoveInterrupted extends Error {
  readonly reason: 'lost' | 'paused' | 'cancelled'
  constructor(reason: 'lost' | 'paused' | 'cancelled') {
    super(`the move was interrupted: ${reason}`)
    this.reason = reason
  }
}

const columns = `id, company_id as "companyId", source, target, state, paused, rows_copied as "rowsCopied",
  rows_expected as "rowsExpected", rounds,
  fence_ms as "fenceMs", error`
const heldColumns = `${columns}, lease, cancel, synced_before as "syncedBefore"`

/** Plans a move, or finds the same one already planned. @throws AppError ALREADY_EXISTS when it is moving elsewhere */
export async function planMove(
  sql: Sql,
  plan: { companyId: CompanyId; source: ShardId; target: ShardId },
): Promise<Move> {
  const { companyId, source, target } = plan
  await sql`
    insert into company_moves (company_id, source, target) values (${companyId}, ${source}, ${target})
    on conflict do nothing`
  const [move] = await sql<Move[]>`
    select ${sql.unsafe(columns)} from company_moves
    where company_id = ${companyId} and state in ('copying', 'fenced', 'flipped')`
  if (move === undefined || move.target !== target) {
    throw new AppError('ALREADY_EXISTS', 'The company is being moved to another shard; wait for that or cancel it.')
  }
  return move
}

export async function findMove(sql: Sql, id: number): Promise<Move> {
  const [move] = await sql<Move[]>`select ${sql.unsafe(columns)} from company_moves where id = ${id}`
  if (move === undefined) throw new AppError('NOT_FOUND', 'There is no such move.')
  return move
}

/** A pause holds back copying only: a fence that stays would refuse writes, and what has flipped cannot be resumed. */
const runnable = `state in ('copying', 'fenced', 'flipped') and (not paused or cancel or state <> 'copying')
  and leased_until <= now()`

/** Open moves that nobody works at. */
export async function idleMoves(sql: Sql): Promise<number[]> {
  const rows = await sql<{ id: number }[]>`
    select id from company_moves where ${sql.unsafe(runnable)} order by id limit 100`
  return rows.map(({ id }) => id)
}

/** Takes the move up, from whoever had it before: that one can change nothing any more. Null when it needs no work. */
export async function takeMove(sql: Sql, id: number): Promise<HeldMove | null> {
  const [move] = await sql<HeldMove[]>`
    update company_moves
    set lease = nextval('mover_leases'), leased_until = now() + ${leaseMs} * interval '1 ms', updated_at = now()
    where id = ${id} and ${sql.unsafe(runnable)}
    returning ${sql.unsafe(heldColumns)}`
  return move ?? null
}

/** Renews the lease. @throws MoveInterrupted */
export async function renewMove(sql: Sql, held: HeldMove, rowsCopied: number): Promise<void> {
  const [move] = await sql<{ paused: boolean; cancel: boolean; state: MoveState }[]>`
    update company_moves
    set leased_until = now() + ${leaseMs} * interval '1 ms', rows_copied = rows_copied + ${rowsCopied}, updated_at = now()
    where id = ${held.id} and lease = ${held.lease}
    returning paused, cancel, state`
  if (move === undefined) throw new MoveInterrupted('lost')
  if (move.state !== 'copying') return
  if (move.cancel) throw new MoveInterrupted('cancelled')
  if (move.paused) throw new MoveInterrupted('paused')
}

/** Changes the state of a move that is still held. @throws MoveInterrupted */
export async function setMove(
  sql: Sql,
  held: HeldMove,
  change: {
    state?: MoveState
    syncedBefore?: string
    rowsExpected?: number
    rounds?: number
    fenceMs?: number
    error?: string | null
    /** Gives the lease up, now or so long from now: whoever asks then may take the move up. */
    freeInMs?: number
  },
): Promise<HeldMove> {
  const [move] = await sql<HeldMove[]>`
    update company_moves set
      state = coalesce(${change.state ?? null}, state),
      synced_before = coalesce(${change.syncedBefore ?? null}, synced_before),
      rows_expected = coalesce(${change.rowsExpected ?? null}, rows_expected),
      rounds = rounds + ${change.rounds ?? 0},
      fence_ms = coalesce(${change.fenceMs ?? null}, fence_ms),
      error = ${change.error ?? null},
      leased_until = now() + ${change.freeInMs ?? leaseMs} * interval '1 ms',
      updated_at = now()
    where id = ${held.id} and lease = ${held.lease} and state in ('copying', 'fenced', 'flipped')
    returning ${sql.unsafe(heldColumns)}`
  if (move === undefined) throw new MoveInterrupted('lost')
  return move
}

/** Every move that has not come to its end; answers those that this changed, newest first. */
export async function steerMoves(sql: Sql, paused: boolean): Promise<Move[]> {
  const moves = await sql<Move[]>`
    update company_moves set paused = ${paused}
    where state in ('copying', 'fenced') and paused <> ${paused}
    returning ${sql.unsafe(columns)}`
  return moves.toSorted((a, b) => b.id - a.id)
}

/** How much of a move is done, 0 to 1. What changes during it is copied again, so that copying alone tells no end. */
export function moveProgress({ state, rowsCopied, rowsExpected }: Move): number {
  if (state === 'done' || state === 'flipped') return 1
  if (state === 'fenced') return 0.95
  return rowsExpected === null ? 0 : 0.9 * Math.min(1, rowsCopied / Math.max(1, rowsExpected))
}

/** @throws AppError NOT_FOUND | INVALID_TRANSITION once the company has moved */
export async function steerMove(sql: Sql, id: number, change: { paused?: boolean; cancel?: boolean }): Promise<Move> {
  const [move] = await sql<Move[]>`
    update company_moves
    set paused = coalesce(${change.paused ?? null}, paused), cancel = coalesce(${change.cancel ?? null}, cancel)
    where id = ${id} and state in ('copying', 'fenced')
    returning ${sql.unsafe(columns)}`
  if (move !== undefined) return move
  const { state } = await findMove(sql, id)
  throw new AppError('INVALID_TRANSITION', `The move is ${state} already.`)
}

import { and, desc, eq, lt, or } from 'drizzle-orm'
import type { Sql } from 'postgres'
import type { CompanyId, ShardId } from '../../core/ids.ts'
import { companyMoves as moves } from '../tables/company-moves.ts'
import { typedSql } from '../typed-sql.ts'
import type { Move, MoveState } from './move-row.ts'

export interface MoveFilter {
  readonly companyId?: CompanyId | undefined
  readonly state?: MoveState | undefined
  /** From it or to it. */
  readonly shard?: ShardId | undefined
  /** Only moves planned before this one: the next page. */
  readonly before?: number | undefined
}

/** Newest first. By Drizzle, because the conditions vary: to be imported where it is first needed. */
export async function listMoves(sql: Sql, filter: MoveFilter, limit: number): Promise<Move[]> {
  const { companyId, state, shard, before } = filter
  const rows = await typedSql(sql)
    .select({
      id: moves.id,
      companyId: moves.companyId,
      source: moves.source,
      target: moves.target,
      state: moves.state,
      paused: moves.paused,
      rowsCopied: moves.rowsCopied,
      rowsExpected: moves.rowsExpected,
      rounds: moves.rounds,
      fenceMs: moves.fenceMs,
      error: moves.error,
    })
    .from(moves)
    .where(
      and(
        companyId === undefined ? undefined : eq(moves.companyId, companyId),
        state === undefined ? undefined : eq(moves.state, state),
        shard === undefined ? undefined : or(eq(moves.source, shard), eq(moves.target, shard)),
        before === undefined ? undefined : lt(moves.id, before),
      ),
    )
    .orderBy(desc(moves.id))
    .limit(limit)
  return rows as Move[]
}

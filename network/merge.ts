import { AppError } from '../core/errors.ts'
import type { ShardId } from '../core/ids.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'

/** Order of UTF-8 bytes, which is Postgres' order of `collate "C"`. (UTF-16 order differs above the surrogates.) */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'))
}

/** The least `limit` items of lists that are each in order. */
export function mergeSorted<T>(lists: readonly (readonly T[])[], compare: (a: T, b: T) => number, limit: number): T[] {
  const heads = lists.map(() => 0)
  const merged: T[] = []
  while (merged.length < limit) {
    let least: { item: T; list: number } | undefined
    for (const [list, items] of lists.entries()) {
      const item = items[heads[list] ?? 0]
      if (item !== undefined && (least === undefined || compare(item, least.item) < 0)) least = { item, list }
    }
    if (least === undefined) break
    heads[least.list] = (heads[least.list] ?? 0) + 1
    merged.push(least.item)
  }
  return merged
}

/** Of the time that is left, for shards that may stay out of the answer: the rest is for the answer itself. */
const partialShare = 0.6

/** How long to wait for shards that may stay out of the answer. */
export function partialScope(scope: StoreScope): StoreScope {
  if (scope.deadlineMs === undefined) return scope
  const now = Date.now()
  return { ...scope, deadlineMs: now + (scope.deadlineMs - now) * partialShare }
}

/**
 * What every shard says to the same statement. A list with a hole would be taken for the whole, so one failed shard fails
 * it (and cancels the others), unless the caller allows a partial answer: then the shards that could not be reached, or
 * not in time, are named. @throws AppError the first shard's that failed; with `allowPartial` where none has answered
 */
export async function askAllShards<T>(
  store: Store,
  ask: (sql: ShardSql) => Promise<T>,
  scope: StoreScope = {},
  { allowPartial = false }: { allowPartial?: boolean } = {},
): Promise<{ parts: T[]; missing: ShardId[] }> {
  const results = await store.broadcast(ask, allowPartial ? partialScope(scope) : scope, { whole: !allowPartial })
  const failed = results.filter((result) => !result.ok)
  // What was cancelled for another's failure does not say why.
  const reason = failed.find(({ error }) => (!allowPartial ? error.code !== 'CANCELLED' : !isAway(error))) ?? failed[0]
  if (reason !== undefined && (!allowPartial || failed.length === results.length || !isAway(reason.error))) {
    throw reason.error
  }
  return {
    parts: results.flatMap((result) => (result.ok ? [result.value] : [])),
    missing: failed.map(({ shard }) => shard),
  }
}

/** Says something of the shard, not of what it was asked. */
export function isAway({ code }: AppError): boolean {
  return code === 'SHARD_UNAVAILABLE' || code === 'OVERLOADED' || code === 'DEADLINE_EXCEEDED'
}

const maxCursorLength = 2048

/** Whoever forges a cursor can have no value in it that Postgres would not take: numbers of 32 bits, text without NUL. */
function isPart(type: 'string' | 'number', part: unknown): boolean {
  if (type === 'string') return typeof part === 'string' && part.isWellFormed() && !part.includes('\0')
  return typeof part === 'number' && (part | 0) === part
}

export function encodeCursor(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts), 'utf8').toString('base64url')
}

/** @throws AppError INVALID_CURSOR unless it was made of the same types of parts. */
export function decodeCursor<const T extends readonly ('string' | 'number')[]>(
  cursor: string,
  types: T,
): { [I in keyof T]: T[I] extends 'string' ? string : number } {
  let parts: unknown
  try {
    parts = cursor.length > maxCursorLength ? null : JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
  } catch {
    parts = null
  }
  const fits = Array.isArray(parts) && parts.length === types.length && types.every((type, i) => isPart(type, parts[i]))
  if (!fits) throw new AppError('INVALID_CURSOR', 'The cursor is not one that this list gave out in this order.')
  return parts as never
}

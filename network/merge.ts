import { AppError } from '../core/errors.ts'
import type { ShardResult } from '../store/store.ts'

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

/** What every shard said. A list with a hole would be taken for the whole, so one failed shard fails it. */
export function allShards<T>(results: readonly ShardResult<T>[]): T[] {
  return results.map((result) => {
    if (!result.ok) throw result.error
    return result.value
  })
}

const maxCursorLength = 2048

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
  const fits =
    Array.isArray(parts) && parts.length === types.length && types.every((type, i) => typeof parts[i] === type)
  if (!fits) throw new AppError('INVALID_CURSOR', 'The cursor is not one that this list gave out in this order.')
  return parts as never
}

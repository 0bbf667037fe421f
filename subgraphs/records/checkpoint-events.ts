import type { CompanyId } from '../../core/ids.ts'
import { pause } from '../../core/waker.ts'
import { decodeCursor, encodeCursor } from '../../events/cursor.ts'
import type { Follower } from '../../events/follow.ts'
import { readCheckpoints } from '../../ledger/checkpoints/read.ts'
import { ledgerSize } from '../../ledger/feed.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'
import type { Store } from '../../store/store.ts'

export interface CheckpointEvent {
  readonly cursor: string
  readonly checkpoint: { readonly size: number; readonly note: string }
}

/** A checkpoint follows the records that it covers within about a second; it is looked for as long as it is missing. */
const lookEveryMs = 250
const slowestLookMs = 5_000

/**
 * Checkpoints as they are signed. They are no records, so their table is read: whenever the ledger has grown, until the
 * checkpoint that covers it is there. The cursor stands behind the last record that the checkpoint covers.
 * @throws AppError INVALID_CURSOR | SHARD_UNAVAILABLE
 */
export async function followCheckpoints(
  deps: { store: Store; follower: Follower<LedgerRecord> },
  companyId: CompanyId,
  options: { after: string | undefined; signal: AbortSignal },
): Promise<AsyncIterable<CheckpointEvent>> {
  const { store, follower } = deps
  const { after, signal } = options
  const read = (atLeast: number | null) =>
    store.onPrimary(store.shardOf(companyId), (sql) => readCheckpoints(sql, [{ companyId, atLeast }]))
  const wait = new AbortController()
  // From here on growth is told; checks the cursor, too.
  const growth = await follower.follow(companyId, {
    signal: AbortSignal.any([signal, wait.signal]),
    ...(after === undefined ? {} : { after }),
  })
  const { size: now } = await store.onPrimary(store.shardOf(companyId), (sql) => ledgerSize(sql, companyId))
  const start = after === undefined ? ((await read(null))[0]?.size ?? 0) : decodeCursor(companyId, after) + 1

  async function* run(): AsyncGenerator<CheckpointEvent, void, void> {
    let size = now
    let growing = growth.next()
    try {
      for (let seen = start, pauseMs = lookEveryMs; !signal.aborted;) {
        // A shard that is down is asked again.
        const [found] = seen < size ? await read(seen + 1).catch(() => []) : []
        if (found !== undefined) {
          seen = found.size
          pauseMs = lookEveryMs
          yield { cursor: encodeCursor(companyId, seen - 1), checkpoint: { size: seen, note: found.note } }
          continue
        }
        const missing = seen < size
        const grown = missing
          ? await Promise.race([growing, pause(pauseMs, signal).then(() => undefined)])
          : await growing
        pauseMs = Math.min(pauseMs * 2, slowestLookMs)
        if (grown === undefined) continue
        if (grown.done === true) return
        size = Math.max(size, (grown.value.records.at(-1)?.record.position ?? -1) + 1)
        pauseMs = lookEveryMs
        growing = growth.next()
      }
    } finally {
      wait.abort()
      await growth.return?.()
    }
  }
  return run()
}

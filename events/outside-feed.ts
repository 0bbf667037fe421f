import { AppError } from '../core/errors.ts'
import { type CompanyId, recordId, type ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { createWaker } from '../core/waker.ts'
import { feedBounds, readFeed } from '../ledger/feed.ts'
import type { LedgerRecord } from '../ledger/record.ts'
import type { Store } from '../store/store.ts'
import type { ChangeStream } from './change-stream.ts'
import type { ReadPage } from './follow.ts'

/** A stretch of a shard's feed as CloudEvents 1.0, for programs outside: sinks, exports, search indexes. */
export interface OutsideBatch {
  /** One CloudEvent in JSON a line, in the feed's order. Empty: nothing came while it was waited for. */
  readonly lines: readonly string[]
  /** Give it back as `after`. */
  readonly next: string
}

export interface OutsideFeed {
  /**
   * Every record of a shard's companies behind `after` (at first `0`), in order per company, at least once: a company that
   * moves to another shard goes on in that one's feed. Waits up to `waitMs` where there is nothing yet.
   * @throws AppError INVALID_CURSOR, CURSOR_EXPIRED (rows behind it were trimmed), NOT_FOUND (no such shard),
   * SHARD_UNAVAILABLE
   */
  read(
    shard: ShardId,
    options: { after: string; limit?: number; waitMs?: number; signal: AbortSignal },
  ): Promise<OutsideBatch>
}

const defaultLimit = 500
const maxLimit = 1_000
const maxWaitMs = 30_000
const maxBytes = 4 * 1024 * 1024
const pageSize = 200
const notGivenOut = 'The cursor is not one that this feed gave out.'
/** `N`: behind row N. `N.K`: behind the first K records of the row after it. */
const cursorPattern = /^(0|[1-9][0-9]{0,14})(?:\.([1-9][0-9]{0,14}))?$/

export function createOutsideFeed(deps: {
  store: Store
  changes: Pick<ChangeStream, 'subscribe'>
  logger: Logger
  readPage: ReadPage<LedgerRecord>
  pollMs?: number
}): OutsideFeed {
  const { store, changes, logger, readPage, pollMs = 1_000 } = deps

  async function collect(shard: ShardId, from: Place, limit: number, signal: AbortSignal): Promise<OutsideBatch> {
    const lines: string[] = []
    let bytes = 0
    let place = from
    const { rows, trimmed } = await store.onPrimary(shard, (sql) => readFeed(sql, { after: from.row, limit }))
    if (trimmed) {
      throw new AppError('CURSOR_EXPIRED', 'The feed no longer goes back that far; read the ledgers instead.')
    }
    const [{ count: inFirst } = { count: Number.POSITIVE_INFINITY }] = rows
    if (place.records >= inFirst) throw new AppError('INVALID_CURSOR', notGivenOut)
    for (const { feedPosition, companyId, from: first, count } of rows) {
      for (let done = place.records; done < count;) {
        signal.throwIfAborted()
        const page = { from: first + done, limit: Math.min(count - done, limit - lines.length, pageSize) }
        // From where the company is now.
        const records = await store.onPrimary(store.shardOf(companyId), (sql) => readPage(sql, companyId, page))
        if (records.length === 0) {
          logger.debug({ companyId }, 'records of a company that is moving cannot be read now')
          return { lines, next: textOf(place) }
        }
        for (const record of records) {
          done += 1
          place = done === count ? { row: feedPosition, records: 0 } : { row: feedPosition - 1, records: done }
          const line = cloudEvent(store.deployment, companyId, record, textOf(place))
          lines.push(line)
          bytes += line.length
        }
        if (lines.length >= limit || bytes >= maxBytes) return { lines, next: textOf(place) }
      }
    }
    return { lines, next: textOf(place) }
  }

  return {
    async read(shard, { after, limit = defaultLimit, waitMs = 0, signal }) {
      if (!store.shards.includes(shard)) throw new AppError('NOT_FOUND', 'There is no such shard.')
      const from = placeOf(after)
      const most = Math.min(Math.max(limit, 1), maxLimit)
      const { head } = await store.onPrimary(shard, feedBounds)
      if (from.row + (from.records > 0 ? 1 : 0) > head) {
        throw new AppError('INVALID_CURSOR', 'The cursor is beyond the end of this feed.')
      }
      const waker = createWaker()
      using _listening = changes.subscribe({
        change: (change) => {
          if (change.shard === shard) waker.wake()
        },
        reset: () => waker.wake(),
      })
      const end = Date.now() + Math.min(Math.max(waitMs, 0), maxWaitMs)
      for (;;) {
        const batch = await collect(shard, from, most, signal)
        const left = end - Date.now()
        if (batch.lines.length > 0 || left <= 0 || signal.aborted) return batch
        await waker.wait(Math.min(left, pollMs), signal)
      }
    },
  }
}

interface Place {
  readonly row: number
  /** Of the row after it. */
  readonly records: number
}

const textOf = ({ row, records }: Place): string => (records === 0 ? String(row) : `${row}.${records}`)

function placeOf(text: string): Place {
  const [, row, records = '0'] = cursorPattern.exec(text) ?? []
  if (row === undefined) throw new AppError('INVALID_CURSOR', notGivenOut)
  return { row: Number(row), records: Number(records) }
}

/**
 * CloudEvents 1.0, JSON format. `source` and `id` name the record for ever, so that consumers can tell repetitions;
 * `data` is the record's canonical text, null where it was erased; the private part is never given out.
 */
function cloudEvent(deployment: string, companyId: CompanyId, record: LedgerRecord, cursor: string): string {
  const event = {
    specversion: '1.0',
    id: recordId(companyId, record.position),
    source: `/ledgerway/${deployment}/${companyId}`,
    type: record.kind,
    subject: record.stream,
    time: record.recordedAt,
    datacontenttype: 'application/json',
    feedcursor: cursor,
    position: record.position,
    streamversion: record.version,
    recordsource: record.source,
    leaf: record.leaf.toString('base64'),
  }
  return `${JSON.stringify(event).slice(0, -1)},"data":${record.data ?? 'null'}}`
}

import { LRUCache } from 'lru-cache'
import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { encodePosition, parseLsn } from '../core/position.ts'
import { pause } from '../core/waker.ts'
import { ledgerSize } from '../ledger/feed.ts'
import type { ShardSql, Store } from '../store/store.ts'
import type { ChangeStream } from './change-stream.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { createTails, type Tail } from './tail.ts'

/** Records of one company that follow each other; those that the filter leaves out are missing. */
export interface FollowedBatch<R> {
  /** Each with the cursor that stands behind it. Never empty. */
  readonly records: readonly { readonly cursor: string; readonly record: R }[]
  /** Stands behind the last of them. */
  readonly cursor: string
  /** Position token: a read with it shows these records. */
  readonly position: string
}

export interface FollowOptions {
  /** Goes on behind this cursor; absent: with what is appended from now on. */
  readonly after?: string
  /** Only records of these kinds; of none where empty. */
  readonly kinds?: readonly string[]
  /** Only records of these streams; of none where empty. */
  readonly streams?: readonly string[]
  readonly signal: AbortSignal
}

export interface Follower<R> extends AsyncDisposable {
  /**
   * The company's records in order, each once: from the ledger as far as it goes, then live. Resolves when it is certain
   * that nothing appended from now on is missed; ends when the signal or the server does. While the shard is down the
   * stream waits.
   * @throws AppError INVALID_CURSOR, SHARD_UNAVAILABLE, SHUTTING_DOWN
   */
  follow(companyId: CompanyId, options: FollowOptions): Promise<AsyncIterableIterator<FollowedBatch<R>, void>>
  /** Companies followed now, and readers of them. */
  counts(): { companies: number; readers: number }
}

/** At most `limit` records from position `from` on, in order, without those between that do not match. */
export type ReadPage<R> = (
  sql: ShardSql,
  companyId: CompanyId,
  page: { from: number; limit: number },
) => Promise<readonly R[]>

const pageSize = 100
/** Pages held for readers at the same place. They are read within moments of each other or not at all. */
const heldPages = 128
const heldMs = 2_000

/**
 * Nothing is buffered for a reader: each asks for the records behind its own place when it is ready for them, and readers
 * at the same place share the read. A slow reader costs one page of the ledger at a time, not memory.
 */
export function createFollower<R extends { position: number; kind: string; stream: string }>(deps: {
  store: Store
  changes: ChangeStream
  logger: Logger
  readPage: ReadPage<R>
}): Follower<R> {
  const { store, changes, logger, readPage } = deps
  const stop = new AbortController()
  const pages = new LRUCache<string, Promise<readonly R[]>>({ max: heldPages, ttl: heldMs })
  const tails = createTails({
    changes,
    shardOf: (companyId) => store.shardOf(companyId),
    readSize: (companyId) => store.onPrimary(store.shardOf(companyId), (sql) => ledgerSize(sql, companyId)),
  })

  /** The page that begins at `from`. Near the head from the primary: a replica may not have it yet. */
  function page(companyId: CompanyId, from: number, tail: Tail): Promise<readonly R[]> {
    const key = `${companyId}:${from}`
    const held = pages.get(key)
    if (held !== undefined) return held
    const limit = Math.min(pageSize, tail.size - from)
    const read = (sql: ShardSql): Promise<readonly R[]> => readPage(sql, companyId, { from, limit })
    const far = tail.size - from > 10 * pageSize
    const reading = far ? store.readOne(companyId, read) : store.onPrimary(store.shardOf(companyId), read)
    // A replica that lags, or a company that has just moved away, shows less than there is: not to be held.
    const whole = reading.then((records) => {
      if (records.length < limit) pages.delete(key)
      return records
    })
    pages.set(key, whole)
    whole.catch(() => pages.delete(key))
    return whole
  }

  async function* run(
    companyId: CompanyId,
    start: number,
    tail: Tail,
    options: FollowOptions,
    signal: AbortSignal,
  ): AsyncGenerator<FollowedBatch<R>, void> {
    const wanted = matcher(options)
    let next = start
    let misses = 0
    try {
      while (!signal.aborted) {
        next = tail.skip(next, options.kinds)
        if (next >= tail.size) {
          await tail.grown(next, signal)
          continue
        }
        let records: readonly R[] = []
        try {
          records = await page(companyId, next, tail)
        } catch (error) {
          logger.debug({ companyId, error }, 'a followed ledger cannot be read now')
        }
        const last = records.at(-1)
        if (last === undefined) {
          misses += 1
          await pause(Math.min(20 * 2 ** misses, 1_000), signal)
          continue
        }
        misses = 0
        next = last.position + 1
        const matching = records.filter(wanted)
        if (matching.length === 0 || signal.aborted) continue
        yield {
          records: matching.map((record) => ({ cursor: encodeCursor(companyId, record.position), record })),
          cursor: encodeCursor(companyId, last.position),
          position: positionOf(tail),
        }
      }
    } finally {
      tail[Symbol.dispose]()
    }
  }

  function positionOf(tail: Tail): string {
    return encodePosition({
      epoch: store.epoch(),
      shards: new Map(tail.lsn === undefined ? [] : [[tail.lsn.shard, parseLsn(tail.lsn.lsn)]]),
    })
  }

  return {
    counts: () => tails.counts(),
    async follow(companyId, options) {
      if (stop.signal.aborted) throw new AppError('SHUTTING_DOWN', 'This server is stopping; connect again.')
      const end = new AbortController()
      const signal = AbortSignal.any([options.signal, end.signal, stop.signal])
      const after = options.after === undefined ? undefined : decodeCursor(companyId, options.after)
      const tail = await tails.open(companyId)
      if (after !== undefined && after >= tail.size) {
        // The reader knows of more than we: it read at another process a moment ago. Only then is a second look worth it.
        await tail.refresh().catch(() => undefined)
        if (after >= tail.size) {
          tail[Symbol.dispose]()
          throw new AppError('INVALID_CURSOR', 'The cursor is beyond the end of this ledger.')
        }
      }
      const start = after === undefined ? tail.size : after + 1
      const generator = run(companyId, start, tail, options, signal)
      let begun = false
      // A generator cannot be returned while it waits, so its wait is ended first.
      const finish = async (): Promise<IteratorResult<FollowedBatch<R>, void>> => {
        end.abort()
        if (!begun) tail[Symbol.dispose]()
        return generator.return()
      }
      const iterator: AsyncIterableIterator<FollowedBatch<R>, void> = {
        next() {
          begun = true
          return generator.next()
        },
        return: finish,
        [Symbol.asyncIterator]: () => iterator,
      }
      return iterator
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      tails[Symbol.dispose]()
    },
  }
}

function matcher({ kinds, streams }: FollowOptions): (record: { kind: string; stream: string }) => boolean {
  const kindSet = kinds === undefined ? undefined : new Set(kinds)
  const streamSet = streams === undefined ? undefined : new Set(streams)
  return (record) => (kindSet?.has(record.kind) ?? true) && (streamSet?.has(record.stream) ?? true)
}

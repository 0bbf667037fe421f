import { randomUUID } from 'node:crypto'
import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import { createWaker, pause, type Waker } from '../core/waker.ts'
import type { Store } from '../store/store.ts'
import { type FeedRow, readFeed } from './feed.ts'
import { advanceCursor, ensureCursor, leaseCursor, noteFailure, releaseCursor, renewLease } from './feed-cursor.ts'

export interface FeedConsumer extends Service {
  /** Says that the shard's feed has grown: read now instead of at the next poll. */
  nudge(shard: ShardId): void
}

/**
 * A durable consumer: reads every shard's feed from its own cursor, which moves only after `handle` has resolved. So each
 * row is handled at least once and in order; after a crash between effect and cursor it is handled again: `handle` MUST be
 * idempotent. Of all processes that run the consumer, one at a time holds a shard's lease.
 *
 * A shard whose handling fails is tried again with growing pauses and holds up neither other shards nor other consumers.
 */
export function createFeedConsumer(deps: {
  store: Store
  logger: Logger
  /** Its cursor's name, for ever. */
  name: string
  /** A consumer that has no cursor yet begins with the whole feed or with what comes. */
  begin: 'first' | 'now'
  /** `signal` ends when the lease is lost or the service stops; the rows are then handled by someone else. */
  handle(shard: ShardId, rows: readonly FeedRow[], signal: AbortSignal): Promise<void>
  batchSize?: number
  /** The safety net where a nudge was lost. */
  pollMs?: number
  /** How long another process waits before it takes over from one that has died. */
  leaseMs?: number
  /** The longest pause after failures; the first is 1/256 of it. */
  maxPauseMs?: number
}): FeedConsumer {
  const {
    store,
    logger,
    name,
    begin,
    handle,
    batchSize = 500,
    pollMs = 1_000,
    leaseMs = 4_000,
    maxPauseMs = 30_000,
  } = deps
  const owner = randomUUID()
  const stop = new AbortController()
  const wakers = new Map<ShardId, Waker>()
  let loops: Promise<void>[] = []

  async function run(shard: ShardId): Promise<void> {
    const waker = createWaker()
    wakers.set(shard, waker)
    let failures = 0
    while (!stop.signal.aborted) {
      try {
        while ((await step(shard)) && !stop.signal.aborted) failures = 0
        failures = 0
      } catch (error) {
        if (stop.signal.aborted) return
        failures += 1
        // The first, the second, the fourth …: an outage is a few lines, however long.
        if ((failures & (failures - 1)) === 0) {
          logger.warn({ consumer: name, shard, failures, error }, 'a feed consumer failed and will try again')
        }
        await store.onPrimary(shard, (sql) => noteFailure(sql, name, owner, error)).catch(() => undefined)
        // Jitter: consumers that failed together should not return together. A nudge does not shorten this pause.
        await pause((maxPauseMs / 2 ** Math.max(8 - failures, 0)) * (0.75 + Math.random() / 4), stop.signal)
        continue
      }
      await waker.wait(pollMs, stop.signal)
    }
  }

  /** One batch; true where there may be more. */
  async function step(shard: ShardId): Promise<boolean> {
    const leased = await store.onPrimary(shard, (sql) => leaseCursor(sql, name, owner, leaseMs))
    if (leased.kind === 'forgotten') {
      await store.onPrimary(shard, (sql) => ensureCursor(sql, name, begin))
      return true
    }
    if (leased.kind === 'idle') return false
    const { after } = leased
    const { rows, trimmed } = await store.onPrimary(shard, (sql) => readFeed(sql, { after, limit: batchSize }))
    if (trimmed) logger.error({ consumer: name, shard, after }, 'rows were trimmed before this consumer read them')
    const last = rows.at(-1)
    if (last === undefined) return false

    const lease = new AbortController()
    const renewing = setInterval(() => {
      store
        .onPrimary(shard, (sql) => renewLease(sql, name, owner, leaseMs))
        .then((held) => {
          if (!held) lease.abort()
        })
        // Unknown whether it is still ours: advancing will tell.
        .catch(() => undefined)
    }, leaseMs / 3)
    try {
      await handle(shard, rows, AbortSignal.any([lease.signal, stop.signal]))
    } finally {
      clearInterval(renewing)
    }
    const held = await store.onPrimary(shard, (sql) => advanceCursor(sql, name, owner, last.feedPosition, leaseMs))
    return held && rows.length === batchSize
  }

  return {
    async start() {
      loops = store.shards.map((shard) => run(shard))
    },
    nudge(shard) {
      wakers.get(shard)?.wake()
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all(loops)
      // So that another process need not wait for the lease to end.
      await Promise.all(
        store.shards.map((shard) =>
          store.onPrimary(shard, (sql) => releaseCursor(sql, name, owner)).catch(() => undefined),
        ),
      )
    },
  }
}

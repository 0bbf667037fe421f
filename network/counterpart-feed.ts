import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import { pause } from '../core/waker.ts'
import { createFeedConsumer } from '../ledger/feed-consumer.ts'
import type { Store } from '../store/store.ts'
import { forEachAtOnce } from './at-once.ts'
import type { Counterparts } from './counterparts.ts'
import { deliveredKinds } from './relationship-records.ts'

export interface CounterpartFeed extends Service {
  /** Says that the shard's feed has grown. */
  nudge(shard: ShardId): void
}

/** Companies of one batch of the feed that are delivered for at once. */
const maxAtOnce = 8

/** Reads every shard's feed from a durable cursor and delivers what concerns counterparts; comes back for the parked. */
export function createCounterpartFeed(deps: {
  store: Store
  counterparts: Counterparts
  logger: Logger
  /** The safety net where a nudge was lost. */
  pollMs?: number
  /** How often counterparts that could not be reached are tried. */
  retryMs?: number
  /** See `createFeedConsumer`. */
  leaseMs?: number
  maxPauseMs?: number
}): CounterpartFeed {
  const { store, counterparts, logger, pollMs = 1_000, retryMs = 2_000, leaseMs, maxPauseMs } = deps
  const stop = new AbortController()
  const consumer = createFeedConsumer({
    store,
    logger,
    name: 'counterparts',
    begin: 'first',
    pollMs,
    ...(leaseMs === undefined ? {} : { leaseMs }),
    ...(maxPauseMs === undefined ? {} : { maxPauseMs }),
    async handle(_shard, rows, signal) {
      const relevant = rows.filter(({ kinds }) => kinds.some((kind) => deliveredKinds.has(kind)))
      // One company's changes stay in order; different companies do not wait for each other.
      const byCompany = Map.groupBy(relevant, ({ companyId }) => companyId).values()
      await forEachAtOnce(byCompany, maxAtOnce, async (changes) => {
        for (const { companyId, from, count } of changes) {
          signal.throwIfAborted()
          await counterparts.deliver(companyId, from, count, { signal })
        }
      })
    },
  })
  let retrying: Promise<unknown> = Promise.resolve()

  async function retryParked(shard: ShardId): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        const left = await counterparts.retryParked(shard, { signal: stop.signal })
        if (left > 0) logger.debug({ shard, left }, 'counterparts still cannot be reached')
      } catch (error) {
        if (!stop.signal.aborted) logger.debug({ shard, error }, 'parked counterparts could not be tried')
      }
      await pause(retryMs * (0.75 + Math.random() / 2), stop.signal)
    }
  }

  return {
    async start() {
      await consumer.start()
      retrying = Promise.all(store.shards.map(retryParked))
    },
    nudge: (shard) => consumer.nudge(shard),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all([consumer[Symbol.asyncDispose](), retrying])
    },
  }
}

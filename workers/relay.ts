import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import { createWaker, pause, type Waker } from '../core/waker.ts'
import type { Bus } from '../events/bus.ts'
import { type Change, changesChannel, dirtyChannel, encodeChanges } from '../events/change.ts'
import { runFeedRound, trimFeed } from '../ledger/feed.ts'
import type { Store } from '../store/store.ts'

export interface Relay extends Service {
  /** Says that something was appended on the shard. Cheap; any number of calls during a round cause one more. */
  nudge(shard: ShardId): void
}

/** Companies a round feeds at most, and changes in one message. */
const roundLimit = 1_000
const messageLimit = 200
const trimLimit = 5_000

/**
 * Turns appends into the feed, shard by shard. Any number of processes may run it: each round's leader is whoever gets the
 * row lock, so there is nothing to elect and nothing to wait for when one dies.
 *
 * Changes are published after the round's commit. A process that dies in between publishes nothing, which readers find by
 * the gap in feed positions or by their poll.
 */
export function createRelay(deps: {
  store: Store
  bus: Bus
  logger: Logger
  /** What was fed, for readers in this process: sooner than by the bus. MUST NOT throw. */
  onFed?: (changes: readonly Change[]) => void
  /** The safety net where a nudge was lost. */
  pollMs?: number
  /** How long rows stay in the feed at least. */
  keepMs?: number
  trimEveryMs?: number
}): Relay {
  const { store, bus, logger, onFed = () => undefined, pollMs = 1_000, keepMs = 7 * 86_400_000 } = deps
  const { trimEveryMs = 600_000 } = deps
  const stop = new AbortController()
  const wakers = new Map<ShardId, Waker>()
  let loops: Promise<void>[] = []
  let subscription: AsyncDisposable | undefined

  async function run(shard: ShardId): Promise<void> {
    const waker = createWaker()
    wakers.set(shard, waker)
    // At first, and after a failure, every head is compared: the shard may have come back from a backup or a replica.
    let all = true
    let taken = 0
    let failures = 0
    let trimAt = Date.now() + trimEveryMs
    while (!stop.signal.aborted) {
      try {
        const round = await store.onPrimary(shard, (sql) => runFeedRound(sql, { limit: roundLimit, all }))
        failures = 0
        if (round.kind === 'taken') {
          // That leader may have begun before the change we were woken for, so ask until we have led once ourselves.
          taken += 1
          await pause(Math.min(2 ** taken, 50), stop.signal)
          continue
        }
        taken = 0
        for (let start = 0; start < round.rows.length; start += messageLimit) {
          const changes = round.rows.slice(start, start + messageLimit).map((row) => ({ shard, ...row }))
          onFed(changes)
          // Not awaited: a bus that hangs must not hold up the feed.
          void bus.publish(changesChannel, encodeChanges(changes))
        }
        if (round.more || all) {
          all &&= round.more
          continue
        }
        if (Date.now() >= trimAt) {
          const trimmed = await store.onPrimary(shard, (sql) => trimFeed(sql, { keepMs, limit: trimLimit }))
          if (trimmed < trimLimit) trimAt = Date.now() + trimEveryMs
        }
      } catch (error) {
        if (stop.signal.aborted) return
        all = true
        failures += 1
        if (failures === 1) logger.warn({ shard, error }, 'the relay lost its shard and goes on trying')
        await pause(Math.min(50 * 2 ** Math.min(failures, 5), 1_000), stop.signal)
        continue
      }
      await waker.wait(pollMs, stop.signal)
    }
  }

  function nudge(shard: ShardId): void {
    wakers.get(shard)?.wake()
  }

  return {
    nudge,
    async start() {
      subscription = await bus.subscribe(dirtyChannel, (message) => nudge(message as ShardId))
      loops = store.shards.map((shard) => run(shard))
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await subscription?.[Symbol.asyncDispose]()
      await Promise.all(loops)
    },
  }
}

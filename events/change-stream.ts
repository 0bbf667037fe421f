import type { ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import { createWaker, pause, type Waker } from '../core/waker.ts'
import { feedBounds, readFeed } from '../ledger/feed.ts'
import type { Store } from '../store/store.ts'
import type { Bus } from './bus.ts'
import { type Change, changesChannel, decodeChanges } from './change.ts'

export interface ChangeListener {
  /** In the shard's order, without gap or repetition since the last `reset`. MUST NOT throw or block. */
  change(change: Change): void
  /** Changes of this shard may have been missed (at first contact, or after a very long absence): look again at all of it. */
  reset(shard: ShardId): void
}

export interface ChangeStream extends Service {
  subscribe(listener: ChangeListener): Disposable
  /** What this process's own relay has just fed, without the way over the bus; the bus brings it again, which is no harm. */
  take(changes: readonly Change[]): void
  /** `bus: false`: changes arrive by the poll alone, later. `shards`: those whose feed cannot be read now. */
  health(): { bus: boolean; unreachable: readonly ShardId[] }
}

const pageSize = 500

/**
 * Every change of every shard, live, for this process: what the bus brings, with its gaps (feed positions have none)
 * filled from the feed itself. Not durable: for readers that hold nothing across a restart, such as caches and
 * subscriptions. One poll a shard, whatever the number of listeners.
 */
export function createChangeStream(deps: {
  store: Store
  bus: Bus
  logger: Logger
  pollMs?: number
  /** The pace while the bus is gone. */
  fastPollMs?: number
}): ChangeStream {
  const { store, bus, logger, pollMs = 1_000, fastPollMs = 100 } = deps
  const stop = new AbortController()
  const listeners = new Set<ChangeListener>()
  const shards = new Map(
    store.shards.map((shard): [ShardId, ShardState] => [
      shard,
      { position: undefined, reachable: true, waker: createWaker() },
    ]),
  )
  let loops: Promise<void>[] = []
  let subscription: AsyncDisposable | undefined

  /** True where it was the next one. */
  function deliver(state: ShardState, change: Change): boolean {
    if (state.position === undefined || change.feedPosition !== state.position + 1) return false
    state.position = change.feedPosition
    for (const listener of listeners) listener.change(change)
    return true
  }

  function take(changes: readonly Change[]): void {
    const behind = new Set<ShardState>()
    for (const change of changes) {
      const state = shards.get(change.shard)
      if (state === undefined) continue
      if (!deliver(state, change) && change.feedPosition > (state.position ?? 0)) behind.add(state)
    }
    for (const state of behind) state.waker.wake()
  }

  async function catchUp(shard: ShardId, state: ShardState): Promise<void> {
    if (state.position === undefined) {
      state.position = (await store.onPrimary(shard, feedBounds)).head
      for (const listener of listeners) listener.reset(shard)
    }
    for (;;) {
      const after = state.position
      const { rows, trimmed } = await store.onPrimary(shard, (sql) => readFeed(sql, { after, limit: pageSize }))
      if (trimmed) {
        state.position = undefined
        return catchUp(shard, state)
      }
      // The bus may have brought some of them meanwhile: those are no longer the next one and are passed over.
      for (const row of rows) deliver(state, { shard, ...row })
      if (rows.length < pageSize || stop.signal.aborted) return
    }
  }

  async function run(shard: ShardId, state: ShardState): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await catchUp(shard, state)
        state.reachable = true
      } catch (error) {
        if (stop.signal.aborted) return
        if (state.reachable) logger.warn({ shard, error }, 'the feed of a shard cannot be read now')
        state.reachable = false
        await pause(pollMs, stop.signal)
        continue
      }
      await state.waker.wait(bus.healthy() ? pollMs : fastPollMs, stop.signal)
    }
  }

  return {
    take,
    subscribe(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => void listeners.delete(listener) }
    },
    health: () => ({
      bus: bus.healthy(),
      unreachable: [...shards].flatMap(([shard, state]) => (state.reachable ? [] : [shard])),
    }),
    async start() {
      subscription = await bus.subscribe(changesChannel, (message) => take(decodeChanges(message)))
      loops = [...shards].map(([shard, state]) => run(shard, state))
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await subscription?.[Symbol.asyncDispose]()
      await Promise.all(loops)
    },
  }
}

interface ShardState {
  /** The last change delivered; undefined until the feed was read once. */
  position: number | undefined
  reachable: boolean
  readonly waker: Waker
}

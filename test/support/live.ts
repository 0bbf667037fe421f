import { silentLogger } from '../../core/log.ts'
import type { Bus } from '../../events/bus.ts'
import { type ChangeStream, createChangeStream } from '../../events/change-stream.ts'
import { createFollower, type Follower } from '../../events/follow.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'
import type { Store } from '../../store/store.ts'
import { createRelay, type Relay } from '../../workers/relay.ts'
import { readPage } from './feed.ts'

export interface Live extends AsyncDisposable {
  readonly bus: Bus
  readonly relay: Relay
  readonly changes: ChangeStream
  readonly follower: Follower<LedgerRecord>
}

/** What brings a store's appends to its readers, started: bus, relay, change stream and follower of one process. */
export async function startLive(store: Store, bus: Bus = createMemoryBus()): Promise<Live> {
  await using parts = new AsyncDisposableStack()
  parts.use(bus)
  const changes = parts.use(createChangeStream({ store, bus, logger: silentLogger, pollMs: 100 }))
  const relay = parts.use(createRelay({ store, bus, logger: silentLogger, pollMs: 20 }))
  const follower = parts.use(createFollower<LedgerRecord>({ store, changes, logger: silentLogger, readPage }))
  await changes.start()
  await relay.start()
  const kept = parts.move()
  return { bus, relay, changes, follower, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

import { silentLogger } from '../../core/log.ts'
import { createMemoryBus } from '../../events/memory-bus.ts'
import { createStore } from '../../store/create-store.ts'
import { poolProfiles } from '../../store/pool/options.ts'
import type { ShardConfig } from '../../store/shard-config.ts'
import { createRelay } from '../../workers/relay.ts'

/** A process that leads round after round, to be stopped in the middle of one; what it feeds it tells nobody. */
const { shards, catalogUrl } = JSON.parse(process.argv[2] ?? '') as { shards: ShardConfig[]; catalogUrl: string }
const store = await createStore({
  shards,
  catalogUrl,
  pool: poolProfiles['memory-constrained'],
  deployment: 'test',
  logger: silentLogger,
})
const relay = createRelay({ store, bus: createMemoryBus(), logger: silentLogger, pollMs: 1 })
await relay.start()
console.log('leading')

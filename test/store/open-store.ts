import { silentLogger } from '../../core/log.ts'
import { createStore, type StoreDeps } from '../../store/create-store.ts'
import { poolProfiles } from '../../store/pool/options.ts'
import type { Store } from '../../store/store.ts'

const smallPool = { ...poolProfiles['memory-constrained'], max: 4, connectTimeoutMs: 500 }

export function openStore(
  databases: Pick<StoreDeps, 'shards' | 'catalogUrl'>,
  more: Partial<StoreDeps> = {},
): Promise<Store> {
  return createStore({ ...databases, deployment: 'test', pool: smallPool, logger: silentLogger, ...more })
}

import { silentLogger } from '../../core/log.ts'
import { createStore, type StoreDeps } from '../../store/create-store.ts'
import type { Store } from '../../store/store.ts'
import { patientPool } from '../support/patient-pool.ts'

const smallPool = { ...patientPool('memory-constrained'), max: 4 }

export function openStore(
  databases: Pick<StoreDeps, 'shards' | 'catalogUrl'>,
  more: Partial<StoreDeps> = {},
): Promise<Store> {
  return createStore({ ...databases, deployment: 'test', pool: smallPool, logger: silentLogger, ...more })
}

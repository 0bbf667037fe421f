import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import type { ExportReader } from '../ledger/exports/read-exports.ts'
import type { Store } from '../store/store.ts'
import { createRepeating } from './repeating.ts'

/** Deletes exports that are too old. Any number of processes may run one. */
export function createExportSweeper(deps: {
  store: Pick<Store, 'shards'>
  exports: Pick<ExportReader, 'sweep'>
  logger: Logger
  everyMs?: number
}): Service {
  const { store, exports, logger, everyMs = 60_000 } = deps
  return createRepeating(async (signal) => {
    for (const shard of store.shards) {
      try {
        while (!signal.aborted && (await exports.sweep(shard)) > 0);
      } catch (error) {
        logger.warn({ shard, error }, 'old exports have to wait')
      }
    }
  }, everyMs)
}

import { setTimeout } from 'node:timers/promises'
import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import type { ExportReader } from '../ledger/exports/read-exports.ts'
import type { Store } from '../store/store.ts'

/** Deletes exports that are too old. Any number of processes may run one. */
export function createExportSweeper(deps: {
  store: Pick<Store, 'shards'>
  exports: Pick<ExportReader, 'sweep'>
  logger: Logger
  everyMs?: number
}): Service {
  const { store, exports, logger, everyMs = 60_000 } = deps
  const stop = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function loop(): Promise<void> {
    while (!stop.signal.aborted) {
      for (const shard of store.shards) {
        try {
          while (!stop.signal.aborted && (await exports.sweep(shard)) > 0);
        } catch (error) {
          logger.warn({ shard, error }, 'old exports have to wait')
        }
      }
      await setTimeout(everyMs, undefined, { signal: stop.signal, ref: false }).catch(() => {})
    }
  }

  return {
    async start() {
      running = loop()
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

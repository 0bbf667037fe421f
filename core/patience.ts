import { setTimeout as sleep } from 'node:timers/promises'
import { isAppError } from './errors.ts'
import type { Logger } from './log.ts'

/** Servers that start at the same time, or a machine with too much to do, are waited for this long. */
const startPatienceMs = 30_000
const pauseMs = 250

/**
 * Takes a step of a start again while the catalog does not answer. The first failure is logged, the last one thrown.
 * @param patienceMs after which no further try begins
 */
export async function untilCatalogAnswers<Value>(
  step: () => Promise<Value>,
  { logger, patienceMs = startPatienceMs }: { logger: Logger; patienceMs?: number | undefined },
): Promise<Value> {
  const until = performance.now() + patienceMs
  for (let attempt = 1; ; attempt++) {
    try {
      return await step()
    } catch (error) {
      if (!isAppError(error, 'CATALOG_UNAVAILABLE') || performance.now() >= until) throw error
      if (attempt === 1) logger.warn({ patienceMs, error }, 'the catalog does not answer yet: trying again')
      await sleep(pauseMs)
    }
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../core/log.ts'
import type { GuardedProcess } from './guard.ts'

export interface SupervisedServer extends AsyncDisposable {
  /** False from the moment the server ended until it answers again. */
  running(): boolean
}

const firstDelayMs = 200
const longestDelayMs = 10_000
/** A server that lived this long is taken to be well: its next failure is again its first. */
const wellAfterMs = 60_000

/**
 * Keeps one server alive. The first launch's failure is the caller's; afterwards a server that ends is launched again,
 * after waits that double up to ten seconds, for as long as the product runs: clients see the shard as unavailable
 * meanwhile, and each attempt is one line of the log.
 */
export async function supervise(options: {
  name: string
  launch: () => Promise<GuardedProcess>
  logger: Logger
}): Promise<SupervisedServer> {
  const { name, launch, logger } = options
  const stopping = new AbortController()
  let server = await launch()

  const watch = async (): Promise<void> => {
    let failures = 0
    let launchedAt = performance.now()
    for (;;) {
      await server.exited
      if (stopping.signal.aborted) return
      if (performance.now() - launchedAt > wellAfterMs) failures = 0
      const delayMs = Math.min(firstDelayMs * 2 ** failures, longestDelayMs)
      failures += 1
      logger.error({ server: name, attempt: failures, delayMs }, `${name} ended unexpectedly; starting it again`)
      if (!(await pause(delayMs, stopping.signal))) return
      launchedAt = performance.now()
      try {
        const next = await launch()
        server = next
        if (stopping.signal.aborted) return
        logger.warn({ server: name, attempt: failures }, `${name} runs again`)
      } catch (error) {
        logger.error({ server: name, error }, `${name} could not be started`)
      }
    }
  }
  const watching = watch()

  return {
    running: () => !server.hasExited(),
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await server.stop()
      await watching
      await server.stop() // one that was being launched when we were told to stop
    },
  }
}

/** @returns false when interrupted */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await sleep(ms, undefined, { signal })
    return true
  } catch {
    return false
  }
}

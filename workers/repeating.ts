import { setTimeout } from 'node:timers/promises'
import type { Service } from '../core/service.ts'

/** Runs `step`, which answers for its own failures, again and again with a pause between; stopping waits for the last. */
export function createRepeating(step: (signal: AbortSignal) => Promise<void>, pauseMs: number): Service {
  const stop = new AbortController()
  const { signal } = stop
  let running: Promise<void> = Promise.resolve()

  async function loop(): Promise<void> {
    while (!signal.aborted) {
      await step(signal)
      await setTimeout(pauseMs, undefined, { signal, ref: false }).catch(() => {})
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

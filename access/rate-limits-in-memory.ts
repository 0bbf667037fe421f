import { type Clock, systemClock } from '../core/clock.ts'
import { admitted, decide, type RateLimiter } from './rate-limits.ts'

const sweepEvery = 1_000

/** For one process: solo mode, and while Redis is down (then each process admits the whole rate). */
export function createMemoryRateLimiter(options: { clock?: Clock; maxScopes?: number } = {}): RateLimiter {
  const { clock = systemClock, maxScopes = 100_000 } = options
  const spent = new Map<string, number>()
  let untilSweep = sweepEvery

  /** What is spent up to a moment gone by is as if never asked for. */
  function sweep(nowMs: number): void {
    untilSweep = sweepEvery
    for (const [scope, until] of spent) if (until <= nowMs) spent.delete(scope)
    // Over the bound the oldest are forgotten: they are admitted too much rather than others too little.
    for (const scope of spent.keys()) {
      if (spent.size <= maxScopes) break
      spent.delete(scope)
    }
  }

  return {
    async take(charges) {
      const nowMs = clock.now()
      const next: [string, number][] = []
      for (const charge of charges) {
        const outcome = decide(spent.get(charge.scope), charge, nowMs)
        if ('waitMs' in outcome) {
          return { admitted: false, scope: charge.scope, retryAfterMs: Math.ceil(outcome.waitMs) }
        }
        next.push([charge.scope, outcome.spentUntil])
      }
      for (const [scope, until] of next) spent.set(scope, until)
      untilSweep -= 1
      if (untilSweep <= 0) sweep(nowMs)
      return admitted
    },
  }
}

import { setImmediate as turn } from 'node:timers/promises'

/** How long one piece of work may hold the event loop before others get their turn. */
const turnMs = 5

/**
 * For work that is done bit by bit, so that everybody else is not kept waiting by its size. Asked between two bits, it lets
 * the others go first when this one has had its time; it rejects with the signal's reason when nobody waits for it any more.
 */
export interface Turns {
  isDue(): boolean
  next(): Promise<void>
}

export function createTurns(signal: AbortSignal): Turns {
  let sinceMs = performance.now()
  return {
    isDue: () => performance.now() - sinceMs >= turnMs,
    async next() {
      await turn()
      signal.throwIfAborted()
      sinceMs = performance.now()
    },
  }
}

/** A wait that can be cut short. */
export interface Waker {
  /** Ends the wait. Where nobody waits, the next wait ends at once: nothing said during the work is forgotten. */
  wake(): void
  /** Until woken, the time is over or the signal ends. One caller at a time. */
  wait(ms: number, signal: AbortSignal): Promise<void>
}

export function createWaker(): Waker {
  let woken = false
  let resolveWait: (() => void) | undefined
  return {
    wake() {
      woken = true
      resolveWait?.()
    },
    async wait(ms, signal) {
      if (!woken && !signal.aborted) await until(ms, signal, (resolve) => (resolveWait = resolve))
      woken = false
      resolveWait = undefined
    },
  }
}

/** Sleeps; ends early, without an error, when the signal does. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await until(ms, signal, () => undefined)
}

function until(ms: number, signal: AbortSignal, hand: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
    hand(done)
  })
}

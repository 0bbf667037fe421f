import { setTimeout as sleep } from 'node:timers/promises'

/** Waits until the promise is settled, however, but no longer than this. True where it settled in time. */
export async function settled(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController()
  const done = promise.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([done, sleep(timeoutMs, false, { signal: timer.signal }).catch(() => false)])
  } finally {
    timer.abort()
  }
}

import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'

/**
 * When a piece of work stops being wanted: its caller went away, or its deadline passed. One timer and one listener for
 * all statements of the work. Dispose when the work is over.
 */
export interface Guard extends Disposable {
  /** Why it is over, or null while it is still wanted. */
  expired(): AppError | null
  /** Called once, at once if it is already over. Returns how to unsubscribe. */
  onExpire(callback: (reason: AppError) => void): () => void
}

export function createGuard(scope: { signal?: AbortSignal; deadlineMs?: number }, clock: Clock): Guard {
  const { signal, deadlineMs } = scope
  const callbacks = new Set<(reason: AppError) => void>()
  let reason: AppError | null = null
  let timer: NodeJS.Timeout | undefined

  const expire = (why: AppError): void => {
    if (reason !== null) return
    reason = why
    stop()
    for (const callback of callbacks) callback(why)
    callbacks.clear()
  }
  const onAbort = (): void => expire(new AppError('CANCELLED', 'The request was cancelled.'))
  const stop = (): void => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
  const expired = (): AppError | null => {
    if (reason === null && signal?.aborted === true) onAbort()
    if (reason === null && deadlineMs !== undefined && clock.now() >= deadlineMs) expire(pastDeadline())
    return reason
  }

  if (expired() === null) {
    signal?.addEventListener('abort', onAbort, { once: true })
    if (deadlineMs !== undefined) {
      // Beyond what a timer can hold there is no deadline worth a timer.
      const ms = deadlineMs - clock.now()
      if (ms < 2 ** 31) timer = setTimeout(() => expire(pastDeadline()), ms)
    }
  }
  return {
    expired,
    onExpire(callback) {
      const why = expired()
      if (why !== null) {
        callback(why)
        return () => {}
      }
      callbacks.add(callback)
      return () => callbacks.delete(callback)
    },
    [Symbol.dispose]: () => {
      stop()
      callbacks.clear()
    },
  }
}

const pastDeadline = (): AppError => new AppError('DEADLINE_EXCEEDED', 'The answer took longer than its deadline.')

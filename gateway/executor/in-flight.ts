/**
 * Work that several want at the same time is done once. Who may join is decided by the key alone: it must hold
 * everything the answer depends on, above all whose answer it is. Joining ends when the work ends, when the group is
 * closed (a mutation of that principal has finished: later readers must see it), or when everyone who waits has left,
 * which also cancels the work.
 */
export interface InFlight<T> {
  /** The promise is the caller's own: it rejects when the caller's signal aborts, whatever the others do. */
  join(key: string, group: string, signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T>
  /** Work of the group that is under way goes on for those who have joined, and takes nobody else. */
  close(group: string): void
  readonly size: number
  /** How often somebody was given work that was under way already. */
  readonly joined: number
}

interface Entry<T> {
  readonly group: string
  readonly work: Promise<T>
  readonly controller: AbortController
  waiting: number
}

/** Beyond `max` pieces of work under way, new ones are simply done alone. */
export function createInFlight<T>({ max }: { max: number }): InFlight<T> {
  const entries = new Map<string, Entry<T>>()
  let joined = 0

  function open(key: string, group: string, start: (signal: AbortSignal) => Promise<T>): Entry<T> {
    const controller = new AbortController()
    const entry: Entry<T> = { group, work: start(controller.signal), controller, waiting: 0 }
    const forget = (): void => {
      if (entries.get(key) === entry) entries.delete(key)
    }
    entry.work.then(forget, forget)
    entries.set(key, entry)
    return entry
  }

  return {
    join(key, group, signal, start) {
      if (signal.aborted) return Promise.reject(abortReason(signal))
      const known = entries.get(key)
      if (known === undefined && entries.size >= max) return start(signal)
      if (known !== undefined) joined += 1
      const entry = known ?? open(key, group, start)
      entry.waiting += 1
      return new Promise<T>((resolve, reject) => {
        const leave = (): void => {
          entry.waiting -= 1
          reject(abortReason(signal))
          if (entry.waiting > 0) return
          if (entries.get(key) === entry) entries.delete(key)
          entry.controller.abort(signal.reason)
        }
        signal.addEventListener('abort', leave, { once: true })
        const settle = (finish: () => void): void => {
          signal.removeEventListener('abort', leave)
          finish()
        }
        entry.work.then(
          (value) => settle(() => resolve(value)),
          (error: unknown) => settle(() => reject(error instanceof Error ? error : new Error(String(error)))),
        )
      })
    },
    close(group) {
      for (const [key, entry] of entries) if (entry.group === group) entries.delete(key)
    },
    get size() {
      return entries.size
    },
    get joined() {
      return joined
    },
  }
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('cancelled')
}

/**
 * Takes up together what arrives together. What is there when a batch is asked for, and whatever else comes in the same
 * turn of the event loop, is one batch; while a batch is worked on the next one gathers, up to a bound. The order is the
 * source's.
 */
export interface Gathering<T> {
  /** The next batch, never empty; `undefined` at the end. One call at a time. @throws what the source throws, after all that came before */
  next(): Promise<readonly T[] | undefined>
  /** The batch is worked off: until the next is asked for nothing more is taken from the source. */
  pause(): void
  /** Closes the source at once, also while it is awaited: `next` then resolves with the end. */
  end(): Promise<void>
}

/** @param max items held: of those who do not take them there are no more */
export function gather<T>(source: AsyncIterable<T>, max: number): Gathering<T> {
  const items = source[Symbol.asyncIterator]()
  let arrived: T[] = []
  let pulling = false
  let asked = false
  let working = false
  let over = false
  let failure: { readonly error: unknown } | undefined
  let wake = (): void => {}

  function pull(): void {
    if (pulling || over || !(asked || working) || arrived.length >= max) return
    pulling = true
    items.next().then(
      (result) => {
        pulling = false
        if (result.done === true) over = true
        else arrived.push(result.value)
        wake()
        pull()
      },
      (error: unknown) => {
        pulling = false
        over = true
        failure = { error }
        wake()
      },
    )
  }

  const isWaiting = (): boolean => arrived.length === 0 && !over

  return {
    async next() {
      asked = true
      pull()
      while (isWaiting()) await new Promise<void>((resolve) => (wake = resolve))
      if (!over && arrived.length < max) await new Promise<void>((resolve) => setImmediate(resolve))
      const batch = arrived
      arrived = []
      asked = false
      working = true
      pull()
      if (batch.length > 0) return batch
      if (failure !== undefined) throw failure.error
      return undefined
    },
    pause() {
      working = false
    },
    async end() {
      const open = !over
      over = true
      arrived = []
      wake()
      if (open) await items.return?.()
    },
  }
}

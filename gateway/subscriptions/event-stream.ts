import type { ExecutionResult } from 'graphql'

/**
 * The events of one subscription, for one consumer. Unlike an async generator it ends at once when it is told to, also
 * while the next event is still awaited, and lets go of its source then.
 */
export interface EventStream extends AsyncIterableIterator<ExecutionResult> {
  /** Without a reason it ends as if the source had; with one, the consumer's next step throws it. */
  end(reason?: Error): void
  return(): Promise<IteratorReturnResult<undefined>>
}

/** @param onEnd called once, when it has ended for whatever reason */
export function createEventStream(source: AsyncIterable<ExecutionResult>, onEnd: () => void): EventStream {
  const iterator = source[Symbol.asyncIterator]()
  const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
  let waiting: PromiseWithResolvers<IteratorResult<ExecutionResult>> | undefined
  let ended = false
  let failure: Error | undefined

  function end(reason?: Error): void {
    if (ended) return
    ended = true
    failure = reason
    const pending = waiting
    waiting = undefined
    if (pending !== undefined) deliverEnd(pending)
    // The source may wait for something that never comes; nobody waits for it.
    void iterator.return?.().then(undefined, () => {})
    onEnd()
  }

  function deliverEnd(pending: PromiseWithResolvers<IteratorResult<ExecutionResult>>): void {
    const error = failure
    failure = undefined
    if (error === undefined) pending.resolve(done)
    else pending.reject(error)
  }

  return {
    end,
    next() {
      const pending = Promise.withResolvers<IteratorResult<ExecutionResult>>()
      if (ended) {
        deliverEnd(pending)
        return pending.promise
      }
      waiting = pending
      iterator.next().then(
        (result) => {
          if (waiting !== pending) return
          if (result.done === true) return end()
          waiting = undefined
          pending.resolve(result)
        },
        (error: unknown) => {
          if (waiting === pending) end(error instanceof Error ? error : new Error(String(error)))
        },
      )
      return pending.promise
    },
    async return() {
      end()
      return done
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

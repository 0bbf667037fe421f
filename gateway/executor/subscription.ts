/**
 * A federated subscription: one subgraph brings the events, and for each the rest of the plan runs like a query of its
 * own, at the event's position. Events keep their order; the next is taken up when the last is answered, so a slow
 * reader slows the source instead of filling memory. What goes wrong with one event is in that event's errors.
 */
import type { ExecutionResult } from 'graphql'

/**
 * `execute` answers one event. Ending the iteration (`return`) closes the source at once, also while an event is
 * awaited; an async generator would wait for that event first.
 */
export function answerEvents(
  source: AsyncIterable<ExecutionResult>,
  execute: (event: ExecutionResult) => Promise<ExecutionResult>,
  onEnd: () => void,
): AsyncIterableIterator<ExecutionResult> {
  const events = source[Symbol.asyncIterator]()
  let ended = false
  function end(): void {
    if (ended) return
    ended = true
    onEnd()
  }
  const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
  return {
    async next() {
      if (ended) return done
      try {
        const event = await events.next()
        if (ended || event.done === true) {
          end()
          return done
        }
        const answer = await execute(event.value)
        return ended ? done : { done: false, value: answer }
      } catch (error) {
        end()
        throw error
      }
    },
    async return() {
      if (!ended) {
        end()
        await events.return?.()
      }
      return done
    },
    async throw(error: unknown) {
      await this.return?.()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

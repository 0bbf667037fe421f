/**
 * A federated subscription: one subgraph brings the events, and for each the rest of the plan runs like a query of its
 * own. Events that arrive together are answered together and go out in their order. A slow reader slows the source
 * instead of filling memory. What goes wrong with one event is in that event's errors.
 */
import type { ExecutionResult } from 'graphql'
import { gather } from '../../core/gather.ts'

/** Events that are worked on together, and as many may wait. */
const batchMax = 32

/**
 * `answer` gives each event its answer, in their order. Ending the iteration (`return`) closes the source at once, also
 * while an event is awaited; an async generator would wait for that event first.
 */
export function answerEvents(
  source: AsyncIterable<ExecutionResult>,
  answer: (events: readonly ExecutionResult[]) => readonly Promise<ExecutionResult>[],
  onEnd: () => void,
): AsyncIterableIterator<ExecutionResult> {
  const events = gather(source, batchMax)
  const answers: Promise<ExecutionResult>[] = []
  const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
  let ended = false
  function end(): void {
    if (ended) return
    ended = true
    onEnd()
  }
  return {
    async next() {
      if (ended) return done
      try {
        if (answers.length === 0) {
          const batch = await events.next()
          if (ended || batch === undefined) {
            end()
            return done
          }
          answers.push(...answer(batch))
          void Promise.allSettled(answers).then(() => events.pause())
        }
        const value = await answers.shift()
        return ended || value === undefined ? done : { done: false, value }
      } catch (error) {
        end()
        throw error
      }
    },
    async return() {
      if (!ended) {
        end()
        await events.end()
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

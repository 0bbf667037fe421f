import type { ExecutionResult } from 'graphql'
import { isAppError } from '../../core/errors.ts'
import { pause } from '../../core/waker.ts'

/** As long as an event waits for what it nests. */
const patienceMs = 30_000
const longestWaitMs = 1_000

/**
 * A stream that outlives the process of its subgraph: where that is stopped, replaced or killed, it is opened again from
 * behind the last event, so that clients need not know of it. Without a cursor to go on from it ends: opened anew from
 * now, it would leave out what was appended meanwhile. `return` closes the source at once, also while one is awaited.
 */
export function reopening(
  first: AsyncIterable<ExecutionResult>,
  deps: {
    /** What the client began with. */
    after: string | undefined
    cursorOf(event: ExecutionResult): string | undefined
    open(after: string): Promise<AsyncIterable<ExecutionResult> | ExecutionResult>
  },
): AsyncIterable<ExecutionResult> {
  const stop = new AbortController()
  let source = first[Symbol.asyncIterator]()
  let { after } = deps
  let openedMs = performance.now()
  let giveUpMs = 0

  /** @throws what the source was lost with, where it is not worth trying again */
  async function untilWorthTrying(lost: unknown, waitMs: number): Promise<void> {
    const nowMs = performance.now()
    // What had been open for that long is lost anew, and no failed attempt.
    if (giveUpMs === 0 || nowMs - openedMs > patienceMs) giveUpMs = nowMs + patienceMs
    const passing = isAppError(lost, 'SUBGRAPH_UNAVAILABLE') && nowMs < giveUpMs
    if (after === undefined || !passing || stop.signal.aborted) throw lost
    await pause(waitMs, stop.signal)
    if (stop.signal.aborted) throw lost
  }

  async function reopen(): Promise<void> {
    openedMs = performance.now()
    const opened = await deps.open(after ?? '')
    source = iterated(opened)[Symbol.asyncIterator]()
    if (stop.signal.aborted) await source.return?.()
  }

  async function next(): Promise<IteratorResult<ExecutionResult>> {
    let lost: unknown
    for (let waitMs = 100; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
      if (lost !== undefined) await untilWorthTrying(lost, waitMs)
      try {
        if (lost !== undefined) await reopen()
        const step = await source.next()
        if (step.done !== true) {
          after = deps.cursorOf(step.value) ?? after
          giveUpMs = 0
        }
        return step
      } catch (error) {
        lost = error
      }
    }
  }

  return {
    [Symbol.asyncIterator]: () => ({
      next,
      async return() {
        stop.abort()
        await source.return?.()
        return { done: true, value: undefined }
      },
    }),
  }
}

/** What refuses a stream is its last event. */
export function iterated(opened: AsyncIterable<ExecutionResult> | ExecutionResult): AsyncIterable<ExecutionResult> {
  return Symbol.asyncIterator in opened ? opened : only(opened)
}

async function* only(result: ExecutionResult): AsyncIterable<ExecutionResult> {
  yield result
}

export function lost(reason: unknown): AsyncIterable<ExecutionResult> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(reason) }) }
}

/**
 * One run for all who may share its answer: subscribers of the same operation with the same variables (but for where they began) at the same event,
 * of one principal or, where everything they select is public, of all with the same rights. A subgraph in this process
 * gives them the same object for an event. One elsewhere sends each of them a copy: those are the same event if they say
 * the same and name the same position, at which the answer is read. Copies without a position may be of different moments
 * and are each answered.
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { ExecutionResult } from 'graphql'

export interface EventAnswers {
  /** @param key whose answer, and with which variables */
  find(event: ExecutionResult, key: string): Promise<ExecutionResult> | undefined
  keep(event: ExecutionResult, key: string, answer: Promise<ExecutionResult>): void
}

/** Copies come within moments of each other or not at all. */
const copiesMax = 500
const copiesMs = 2_000

/** For one operation. @param withCopies whether running it costs more than telling copies */
export function createEventAnswers({ withCopies }: { withCopies: boolean }): EventAnswers {
  const byObject = new WeakMap<ExecutionResult, Map<string, Promise<ExecutionResult>>>()
  const copies = new LRUCache<string, Promise<ExecutionResult>>({ max: copiesMax, ttl: copiesMs })
  const names = new WeakMap<ExecutionResult, string>()

  function copyName(event: ExecutionResult, key: string): string | undefined {
    if (!withCopies || typeof event.extensions?.['position'] !== 'string') return undefined
    const name = names.get(event) ?? hash('sha256', JSON.stringify(event), 'base64')
    names.set(event, name)
    return name + key
  }

  return {
    find(event, key) {
      const known = byObject.get(event)?.get(key)
      if (known !== undefined) return known
      const name = copyName(event, key)
      return name === undefined ? undefined : copies.get(name)
    },
    keep(event, key, answer) {
      const answers = byObject.get(event) ?? new Map<string, Promise<ExecutionResult>>()
      byObject.set(event, answers.set(key, answer))
      const name = copyName(event, key)
      if (name === undefined) return
      copies.set(name, answer)
      // A run that broke off is not everybody's: who comes later tries again.
      answer.catch(() => copies.delete(name))
    },
  }
}

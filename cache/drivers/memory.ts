import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type Clock, systemClock } from '../../core/clock.ts'
import { mergePositions, noPosition } from '../../core/position.ts'
import {
  type AnswerCache,
  type CacheLookup,
  everything,
  leaseMs,
  type KeptAnswer,
  type LoadStamp,
  maxAnswerCharacters,
  maxKeptMs,
  maxTags,
} from '../answer-cache.ts'

interface Entry extends KeptAnswer {
  readonly stamp: number
  readonly loadedAtMs: number
}

/**
 * In this process. Time is a counter of invalidations: a tag remembers at which count it was last invalidated, an entry at
 * which count its load began. Both are bounded: where a tag is forgotten, the count at which it was forgotten stands for
 * it, so forgetting makes entries invalid and never valid.
 */
export function createMemoryAnswerCache(
  options: { clock?: Clock; maxCharacters?: number; maxInvalidatedTags?: number } = {},
): AnswerCache {
  const { clock = systemClock, maxCharacters = 64_000_000, maxInvalidatedTags = 100_000 } = options
  let count = 0
  let forgottenAt = 0
  const leases = new LRUCache<string, string>({ max: 100_000, ttl: leaseMs })
  let seen = noPosition
  const invalidatedAt = new LRUCache<string, number>({
    max: maxInvalidatedTags,
    dispose: (at, _tag, reason) => {
      if (reason === 'evict') forgottenAt = Math.max(forgottenAt, at)
    },
  })
  const entries = new LRUCache<string, Entry>({
    maxSize: maxCharacters,
    sizeCalculation: ({ text, tags }) => text.length + tags.length * 50 + 500,
  })
  const holds = (tags: readonly string[], stamp: number): boolean =>
    [everything, ...tags].every((tag) => (invalidatedAt.peek(tag) ?? forgottenAt) <= stamp)
  const stampNow = (): LoadStamp => ({ count, atMs: clock.now(), position: seen })

  function miss(key: string): CacheLookup {
    const stamp = stampNow()
    if (leases.has(key)) return { state: 'miss', stamp }
    const lease = randomUUID()
    leases.set(key, lease)
    return { state: 'miss', stamp, lease }
  }

  function release(key: string, lease: string | undefined): void {
    if (leases.get(key) === lease) leases.delete(key)
  }

  return {
    async get(key) {
      const entry = entries.get(key)
      if (entry === undefined) return miss(key)
      const { text, position } = entry
      const ageMs = clock.now() - entry.loadedAtMs
      if (ageMs < entry.maxAgeMs && holds(entry.tags, entry.stamp)) {
        const answer = { text, ageMs, ...(position === undefined ? {} : { position }) }
        return { state: 'hit', answer, stamp: stampNow() }
      }
      entries.delete(key)
      return miss(key)
    },
    async put(key, answer, stamp, lease) {
      release(key, lease)
      if (answer.tags.length > maxTags || answer.text.length > maxAnswerCharacters || !holds(answer.tags, stamp.count))
        return false
      entries.set(key, {
        ...answer,
        maxAgeMs: Math.min(answer.maxAgeMs, maxKeptMs),
        stamp: stamp.count,
        loadedAtMs: stamp.atMs,
      })
      return true
    },
    async release(key, lease) {
      release(key, lease)
    },
    async invalidate(tags, position) {
      count += 1
      if (position !== undefined) seen = mergePositions(seen, position)
      for (const tag of tags) invalidatedAt.set(tag, count)
    },
    healthy: () => true,
    async clear() {
      count += 1
      invalidatedAt.set(everything, count)
      entries.clear()
    },
    async [Symbol.asyncDispose]() {
      entries.clear()
    },
  }
}

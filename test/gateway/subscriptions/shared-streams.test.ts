import type { ExecutionResult } from 'graphql'
import { describe, expect, test } from 'vitest'
import { createWaker } from '../../../core/waker.ts'
import { createSharedStreams, type OwnStream, type Subscriber } from '../../../gateway/subscriptions/shared-streams.ts'

/** A ledger whose events are one object each, whoever reads them, as those who may share answers are given them. */
function ledger() {
  const events: ExecutionResult[] = []
  const grown = new Set<() => void>()
  const counts = { open: 0, opened: 0, reads: 0 }

  function open(after: number): OwnStream {
    const ended = new AbortController()
    const waker = createWaker()
    let at = after + 1
    const wake = (): void => waker.wake()
    grown.add(wake)
    counts.open += 1
    counts.opened += 1
    return {
      events: {
        async next() {
          while (at >= events.length && !ended.signal.aborted) await waker.wait(60_000, ended.signal)
          const value = events[at]
          if (ended.signal.aborted || value === undefined) return { done: true, value: undefined }
          at += 1
          counts.reads += 1
          return { done: false, value }
        },
        async return() {
          ended.abort()
          return { done: true, value: undefined }
        },
      },
      close() {
        grown.delete(wake)
        counts.open -= 1
      },
    }
  }

  return {
    counts,
    open,
    append(count = 1): void {
      for (let i = 0; i < count; i += 1) {
        events.push({ data: { at: events.length }, extensions: { position: `p${events.length}` } })
      }
      for (const wake of grown) wake()
    },
  }
}

const atOf = ({ data }: ExecutionResult): number => Number(data?.['at'])
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

function reader(source: ReturnType<typeof ledger>): Subscriber {
  return { cursorOf: (event) => String(atOf(event)), reopen: async (after) => source.open(Number(after)) }
}

/** Reads on, as fast as `pace` lets it. */
function reading(events: AsyncIterable<ExecutionResult>, pace: () => Promise<void> = async () => {}) {
  const seen: number[] = []
  const over = (async () => {
    for await (const event of events) {
      seen.push(atOf(event))
      await pace()
    }
  })()
  return { seen, over }
}

describe('subscribers that stand at the same event', () => {
  test('are served by one stream, each its events once and in order', async () => {
    const source = ledger()
    const streams = createSharedStreams()
    const followed = Array.from({ length: 50 }, () => streams.follow(source.open(-1), reader(source)))
    const readers = followed.map((events) => reading(events))
    source.append()
    await expect.poll(() => source.counts.open).toBe(1)
    const { reads } = source.counts
    for (let i = 0; i < 20; i += 1) {
      source.append()
      await expect.poll(() => readers.every(({ seen }) => seen.length === i + 2)).toBe(true)
    }
    expect(source.counts.reads - reads).toBe(20)
    for (const { seen } of readers) expect(seen).toEqual(range(0, 21))
    for (const events of followed) await events.return?.()
    await Promise.all(readers.map(({ over }) => over))
    expect(source.counts.open).toBe(0)
  })

  test('go on when the one that was there first leaves', async () => {
    const source = ledger()
    const streams = createSharedStreams()
    const first = streams.follow(source.open(-1), reader(source))
    const second = streams.follow(source.open(-1), reader(source))
    const [one, other] = [reading(first), reading(second)]
    source.append()
    await expect.poll(() => source.counts.open).toBe(1)
    await first.return?.()
    source.append(3)
    await expect.poll(() => other.seen).toEqual([0, 1, 2, 3])
    await one.over
    expect(one.seen).toEqual([0])
    await second.return?.()
    await other.over
    expect(source.counts.open).toBe(0)
  })

  test('are not held up by one that takes nothing, which goes on behind its last event when it does', async () => {
    const source = ledger()
    const streams = createSharedStreams()
    const gate = Promise.withResolvers<void>()
    const fast = reading(streams.follow(source.open(-1), reader(source)))
    const slow = reading(streams.follow(source.open(-1), reader(source)), () => gate.promise)
    source.append()
    await expect.poll(() => slow.seen).toEqual([0])
    source.append(200)
    await expect.poll(() => fast.seen).toEqual(range(0, 201))
    expect(slow.seen).toEqual([0])
    gate.resolve()
    await expect.poll(() => slow.seen).toEqual(range(0, 201))
    source.append()
    await expect.poll(() => slow.seen).toEqual(range(0, 202))
    await expect.poll(() => source.counts.open).toBe(1)
  })

  test('hear of its failure, after everything that came before', async () => {
    const streams = createSharedStreams()
    const event: ExecutionResult = { data: { at: 0 }, extensions: { position: 'p' } }
    const failure = Promise.withResolvers<IteratorResult<ExecutionResult>>()
    const failing = (): OwnStream => {
      let given = false
      return {
        events: {
          next: () => {
            if (given) return failure.promise
            given = true
            return Promise.resolve({ done: false, value: event })
          },
        },
        close() {},
      }
    }
    const subscriber: Subscriber = { cursorOf: () => '0', reopen: () => Promise.reject(new Error('opened again')) }
    const readers = [1, 2].map(() => reading(streams.follow(failing(), subscriber)))
    const outcomes = Promise.allSettled(readers.map(({ over }) => over))
    await expect.poll(() => readers.map(({ seen }) => seen)).toEqual([[0], [0]])
    failure.reject(new Error('gone'))
    expect(await outcomes).toMatchObject([{ reason: { message: 'gone' } }, { reason: { message: 'gone' } }])
  })

  test('that tell no cursor stay by themselves', async () => {
    const source = ledger()
    const streams = createSharedStreams()
    const subscriber: Subscriber = { ...reader(source), cursorOf: () => undefined }
    const readers = [1, 2].map(() => reading(streams.follow(source.open(-1), subscriber)))
    source.append(5)
    await expect.poll(() => readers.map(({ seen }) => seen)).toEqual([range(0, 5), range(0, 5)])
    expect(source.counts.open).toBe(2)
  })

  test('see every event once and in order, however they come, pause, fall behind and leave', async () => {
    const source = ledger()
    const streams = createSharedStreams()
    let seed = 7
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed % below
    }
    const turns = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 1) await new Promise<void>((resolve) => setImmediate(resolve))
    }
    source.append(10)
    const total = 3_000
    const readers = Array.from({ length: 40 }, (_, index) => {
      const from = random(10) - 1
      const events = streams.follow(source.open(from), reader(source))
      const leaveAt = index % 5 === 0 ? 200 + random(1_000) : Number.POSITIVE_INFINITY
      const slowness = index % 4 === 0 ? 40 : 2
      const { seen, over } = reading(events, async () => {
        if (seen.length >= leaveAt) await events.return?.()
        if (random(20) === 0) await turns(random(slowness))
      })
      return { seen, over, from, events, leaveAt }
    })
    for (let appended = 10; appended < total;) {
      const count = Math.min(1 + random(60), total - appended)
      source.append(count)
      appended += count
      await turns(random(4))
    }
    for (const { seen, from, events, leaveAt, over } of readers) {
      const wanted = Math.min(leaveAt, total - from - 1)
      await expect.poll(() => seen.length).toBe(wanted)
      expect(seen).toEqual(range(from + 1, from + 1 + wanted))
      await events.return?.()
      await over
    }
    expect(source.counts.open).toBe(0)
  })
})

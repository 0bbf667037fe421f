import { describe, expect, test } from 'vitest'
import { gather } from '../../core/gather.ts'

/** Gives what it is told to, and counts what was asked of it. */
function createSource(): AsyncIterable<number> & {
  push(...items: number[]): void
  fail(error: Error): void
  asked: number
} {
  const waiting: number[] = []
  let failure: Error | undefined
  let wake = (): void => {}
  const isEmpty = (): boolean => waiting.length === 0 && failure === undefined
  const source = {
    asked: 0,
    push(...items: number[]) {
      waiting.push(...items)
      wake()
    },
    fail(error: Error) {
      failure = error
      wake()
    },
    [Symbol.asyncIterator]: () => ({
      async next(): Promise<IteratorResult<number>> {
        source.asked += 1
        while (isEmpty()) await new Promise<void>((resolve) => (wake = resolve))
        if (waiting.length === 0 && failure !== undefined) throw failure
        return { done: false, value: waiting.shift() ?? 0 }
      },
    }),
  }
  return source
}

describe('what arrives together', () => {
  test('is taken up together, in order and up to the bound', async () => {
    const source = createSource()
    const gathering = gather(source, 3)
    const first = gathering.next()
    source.push(1, 2, 3, 4, 5)
    expect(await first).toEqual([1, 2, 3])
    expect(await gathering.next()).toEqual([4, 5])
  })

  test('gathers while a batch is worked on, and no longer', async () => {
    const source = createSource()
    const gathering = gather(source, 3)
    source.push(1)
    expect(await gathering.next()).toEqual([1])
    source.push(2)
    await expect.poll(() => source.asked).toBe(3)
    gathering.pause()
    source.push(3, 4)
    await expect.poll(() => source.asked).toBe(3)
    expect(await gathering.next()).toEqual([2, 3, 4])
  })

  test('comes before the failure that follows it', async () => {
    const source = createSource()
    const gathering = gather(source, 10)
    source.push(1, 2)
    source.fail(new Error('lost'))
    expect(await gathering.next()).toEqual([1, 2])
    await expect(gathering.next()).rejects.toThrow('lost')
  })

  test('is nothing once it is ended, also while it is awaited', async () => {
    const gathering = gather(createSource(), 10)
    const waiting = gathering.next()
    await gathering.end()
    expect(await waiting).toBeUndefined()
    expect(await gathering.next()).toBeUndefined()
  })
})

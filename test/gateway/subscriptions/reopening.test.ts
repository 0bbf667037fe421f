import type { ExecutionResult } from 'graphql'
import { expect, test } from 'vitest'
import { AppError } from '../../../core/errors.ts'
import { reopening } from '../../../gateway/subscriptions/reopening.ts'

const away = (): AppError => new AppError('SUBGRAPH_UNAVAILABLE', 'The subgraph "records" could not be reached.')
const cursorOf = ({ data }: ExecutionResult): string | undefined =>
  typeof data?.['at'] === 'number' ? String(data['at']) : undefined

async function* eventsThen(end: Error | undefined, ...places: number[]): AsyncIterable<ExecutionResult> {
  for (const at of places) yield { data: { at } }
  if (end !== undefined) throw end
}

async function read(events: AsyncIterable<ExecutionResult>): Promise<unknown[]> {
  const seen: unknown[] = []
  for await (const { data } of events) seen.push(data?.['at'])
  return seen
}

test('a stream whose subgraph is killed goes on behind its last event when that is back', async () => {
  const asked: string[] = []
  const answers = [undefined, eventsThen(away()), eventsThen(away(), 3), eventsThen(undefined, 4)]
  const events = reopening(eventsThen(away(), 1, 2), {
    after: undefined,
    cursorOf,
    async open(after) {
      asked.push(after)
      const answer = answers.shift()
      if (answer === undefined) throw away()
      return answer
    },
  })
  expect(await read(events)).toEqual([1, 2, 3, 4])
  expect(asked).toEqual(['2', '2', '2', '3'])
})

test('one that has seen nothing goes on from the cursor it began with', async () => {
  const events = reopening(eventsThen(away()), {
    after: '6',
    cursorOf,
    open: async (after) => eventsThen(undefined, Number(after) + 1),
  })
  expect(await read(events)).toEqual([7])
})

test('without a cursor, and for what is no loss of the subgraph, it ends with the error', async () => {
  const open = (): Promise<never> => Promise.reject(new Error('opened again'))
  await expect(read(reopening(eventsThen(away()), { after: undefined, cursorOf, open }))).rejects.toMatchObject({
    code: 'SUBGRAPH_UNAVAILABLE',
  })
  const revoked = new AppError('FORBIDDEN', 'no')
  await expect(read(reopening(eventsThen(revoked, 1), { after: undefined, cursorOf, open }))).rejects.toBe(revoked)
})

test('left while its subgraph is away, it is not opened again', async () => {
  let opened = 0
  const events = reopening(eventsThen(away()), {
    after: '1',
    cursorOf,
    async open() {
      opened += 1
      return eventsThen(undefined)
    },
  })
  const iterator = events[Symbol.asyncIterator]()
  const waiting = iterator.next()
  await iterator.return?.()
  await expect(waiting).rejects.toMatchObject({ code: 'SUBGRAPH_UNAVAILABLE' })
  expect(opened).toBe(0)
})

import { AppError } from '../core/errors.ts'

/** What waits for its turn; `weight` counts against a group's size. */
export interface GroupItem {
  readonly weight: number
  /** No two items of a group may share one: the second has to see what the first did. */
  readonly keys: readonly string[]
}

interface Waiting<I, R> {
  item: I
  resolve: (result: R) => void
  reject: (error: unknown) => void
}

interface Lane<I, R> {
  waiting: Waiting<I, R>[]
  running: boolean
}

/**
 * Runs concurrent calls of one lane together: while a group is on its way the next one gathers, so under load a round trip
 * and a commit serve many calls, and without load a call goes at once. Lanes (ledgers) do not wait for each other.
 *
 * `run` does what has to be done before the next group may start and answers with the rest: one result per item, in order.
 * When either fails, all of the group's callers get that error.
 */
export function createGrouping<I extends GroupItem, R>(deps: {
  run: (lane: string, items: I[]) => Promise<() => Promise<R[]>>
  maxWeight: number
  maxWaiting: number
}): { submit(lane: string, item: I): Promise<R> } {
  const lanes = new Map<string, Lane<I, R>>()

  function takeGroup(lane: Lane<I, R>): Waiting<I, R>[] {
    const keys = new Set<string>()
    let weight = 0
    let count = 0
    for (const { item } of lane.waiting) {
      if (count > 0 && weight + item.weight > deps.maxWeight) break
      if (item.keys.some((key) => keys.has(key))) break
      for (const key of item.keys) keys.add(key)
      weight += item.weight
      count += 1
    }
    return lane.waiting.splice(0, count)
  }

  async function drain(name: string, lane: Lane<I, R>): Promise<void> {
    lane.running = true
    while (lane.waiting.length > 0) {
      const group = takeGroup(lane)
      try {
        const rest = await deps.run(
          name,
          group.map(({ item }) => item),
        )
        void finish(group, rest)
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    lanes.delete(name)
  }

  async function finish(group: readonly Waiting<I, R>[], rest: () => Promise<R[]>): Promise<void> {
    try {
      const results = await rest()
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as R)
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  return {
    submit(name, item) {
      let lane = lanes.get(name)
      if (lane === undefined) lanes.set(name, (lane = { waiting: [], running: false }))
      if (lane.waiting.length >= deps.maxWaiting) {
        return Promise.reject(
          new AppError('OVERLOADED', 'Too many appends wait for this ledger; try again a little later.'),
        )
      }
      const { promise, resolve, reject } = Promise.withResolvers<R>()
      lane.waiting.push({ item, resolve, reject })
      if (!lane.running) void drain(name, lane)
      return promise
    },
  }
}

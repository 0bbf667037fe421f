import type { CompanyId, ShardId } from '../core/ids.ts'
import type { Change } from './change.ts'
import type { ChangeStream } from './change-stream.ts'

/** How far one company's ledger goes, kept up to date while anyone holds it. */
export interface Tail extends Disposable {
  readonly size: number
  /** Covers every record below `size`. */
  readonly lsn: { shard: ShardId; lsn: string } | undefined
  /** Resolves when `size` is beyond `next`, or the signal ends. */
  grown(next: number, signal: AbortSignal): Promise<void>
  /** The next position that may hold a record of these kinds, as far as recent changes tell. */
  skip(next: number, kinds: readonly string[] | undefined): number
  /** Asks the shard. */
  refresh(): Promise<void>
}

export interface Tails extends Disposable {
  /** Resolves once nothing appended from now on can be missed. Each one opened MUST be disposed of. */
  open(companyId: CompanyId): Promise<Tail>
  counts(): { companies: number; readers: number }
}

interface State {
  readonly companyId: CompanyId
  size: number
  lsn: { shard: ShardId; lsn: string } | undefined
  readers: number
  readonly waiting: Set<() => void>
  /** The last few advances, newest last. */
  recent: Change[]
  /** Set once the size was read. */
  known: Promise<void>
}

const recentKept = 8
const retryMs = 500

export function createTails(deps: {
  changes: ChangeStream
  shardOf(companyId: CompanyId): ShardId
  readSize(companyId: CompanyId): Promise<{ size: number; lsn: string }>
}): Tails {
  const { changes, shardOf, readSize } = deps
  const states = new Map<CompanyId, State>()
  const retries = new Set<NodeJS.Timeout>()

  const subscription = changes.subscribe({
    change(change) {
      const state = states.get(change.companyId)
      if (state === undefined) return
      state.recent.push(change)
      if (state.recent.length > recentKept) state.recent.shift()
      grow(
        state,
        change.from + change.count,
        change.lsn === undefined ? undefined : { shard: change.shard, lsn: change.lsn },
      )
    },
    reset(shard) {
      for (const state of states.values()) if (shardOf(state.companyId) === shard) refreshUntilDone(state)
    },
  })

  function grow(state: State, size: number, lsn: State['lsn']): void {
    if (size <= state.size) return
    state.size = size
    if (lsn !== undefined) state.lsn = lsn
    for (const resolve of state.waiting) resolve()
    state.waiting.clear()
  }

  async function refresh(state: State): Promise<void> {
    const shard = shardOf(state.companyId)
    const { size, lsn } = await readSize(state.companyId)
    state.lsn ??= { shard, lsn }
    grow(state, size, { shard, lsn })
  }

  function refreshUntilDone(state: State): void {
    refresh(state).catch(() => {
      const timer = setTimeout(() => {
        retries.delete(timer)
        if (states.get(state.companyId) === state) refreshUntilDone(state)
      }, retryMs)
      timer.unref()
      retries.add(timer)
    })
  }

  function handle(state: State): Tail {
    let held = true
    return {
      get size() {
        return state.size
      },
      get lsn() {
        return state.lsn
      },
      refresh: () => refresh(state),
      grown(next, signal) {
        if (state.size > next || signal.aborted) return Promise.resolve()
        return new Promise((resolve) => {
          const done = (): void => {
            signal.removeEventListener('abort', done)
            state.waiting.delete(done)
            resolve()
          }
          state.waiting.add(done)
          signal.addEventListener('abort', done)
        })
      },
      skip(next, kinds) {
        if (kinds === undefined) return next
        let position = next
        for (const change of state.recent) {
          const passes = change.from === position && !change.kinds.some((kind) => kinds.includes(kind))
          if (passes) position = change.from + change.count
        }
        return position
      },
      [Symbol.dispose]() {
        if (!held) return
        held = false
        state.readers -= 1
        if (state.readers === 0 && states.get(state.companyId) === state) states.delete(state.companyId)
      },
    }
  }

  return {
    async open(companyId) {
      let state = states.get(companyId)
      if (state === undefined) {
        // In the map before its size is read: a change that comes meanwhile must find it.
        const created: State = {
          companyId,
          size: 0,
          lsn: undefined,
          readers: 0,
          waiting: new Set(),
          recent: [],
          known: Promise.resolve(),
        }
        created.known = refresh(created)
        states.set(companyId, created)
        state = created
      }
      state.readers += 1
      const tail = handle(state)
      try {
        await state.known
      } catch (error) {
        tail[Symbol.dispose]()
        if (states.get(companyId) === state) states.delete(companyId)
        throw error
      }
      return tail
    },
    counts: () => ({
      companies: states.size,
      readers: [...states.values()].reduce((sum, state) => sum + state.readers, 0),
    }),
    [Symbol.dispose]() {
      subscription[Symbol.dispose]()
      for (const timer of retries) clearTimeout(timer)
    },
  }
}

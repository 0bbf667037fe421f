import { onTestFinished } from 'vitest'
import { isAppError } from '../../../core/errors.ts'
import { parseCompanyId, type CompanyId, type ShardId } from '../../../core/ids.ts'
import { silentLogger } from '../../../core/log.ts'
import { createMover, type Mover, type MoverDeps } from '../../../store/move/mover.ts'
import type { StoreDeps } from '../../../store/create-store.ts'
import type { Store } from '../../../store/store.ts'
import { acquireShards } from '../../support/postgres.ts'
import { createChain } from '../chain.ts'
import { openStore } from '../open-store.ts'

/** Two shards with companies that move between them. */
export async function createMoving(more: Partial<StoreDeps> = {}) {
  await using parts = new AsyncDisposableStack()
  const databases = parts.use(await acquireShards({ count: 2 }))
  const store: Store = parts.use(await openStore(databases, more))
  const chain = createChain(store)
  const kept = parts.move()
  let companies = 0
  return {
    databases,
    store,
    chain,
    moverOf: (more: Partial<MoverDeps> = {}): Mover =>
      createMover({ store, logger: silentLogger, cleanupDelayMs: 0, ...more }),

    async newCompany(records = 3): Promise<{ id: CompanyId; from: ShardId; to: ShardId }> {
      const id = parseCompanyId(`mover-${companies++}`)
      for (let i = 0; i < records; i++) await chain.append(id, `before-${i}`)
      const from = store.shardOf(id)
      const to = store.shards.find((shard) => shard !== from)!
      return { id, from, to }
    },

    rowsOn: (shard: ShardId, id: CompanyId): Promise<number> =>
      store.onPrimary(shard, async (sql) => {
        const [row] = await sql<{ count: number }[]>`
          select (select count(*) from ledger_records where company_id = ${id})
            + (select count(*) from ledger_heads where company_id = ${id} and size > 0)
            + (select count(*) from webhooks where company_id = ${id}) as count`
        return row!.count
      }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

export type Moving = Awaited<ReturnType<typeof createMoving>>

/** On a slow machine a write may be held back longer than it waits; under its key it is sent again, as by any client. */
async function retried(write: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await write()
      return
    } catch (error) {
      if (!isAppError(error) || !error.retryable) throw error
    }
  }
}

/** Appends without pause until told to stop; every key acknowledged is in `done`, one after the other. */
export function startWriter(id: CompanyId, append: (id: CompanyId, key: string) => Promise<unknown>) {
  const done: string[] = []
  const state = { stopped: false }
  const running = (async () => {
    for (let i = 0; !state.stopped; i++) {
      const key = `w${i}`
      await retried(() => append(id, key))
      done.push(key)
    }
  })()
  // A test that fails must not leave its writer behind, nor fail once more for it.
  running.catch(() => {})
  onTestFinished(() => {
    state.stopped = true
    return running.catch(() => {})
  })
  return {
    done,
    async stop() {
      state.stopped = true
      await running
    },
  }
}

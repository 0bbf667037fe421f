import { setTimeout } from 'node:timers/promises'
import { AppError, isAppError } from '../../core/errors.ts'
import type { CompanyId, ShardId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import { loadDirectory, locate, type Directory } from '../directory.ts'
import type { Store } from '../store.ts'
import { companiesOf } from './companies-of.ts'
import { flipBuckets } from './flip-buckets.ts'
import { leaseMs, MoveInterrupted } from './move-row.ts'
import type { Mover } from './mover.ts'

export interface Rebalance {
  readonly id: number
  readonly state: 'running' | 'done' | 'failed' | 'cancelled'
  readonly paused: boolean
  readonly buckets: number
  readonly bucketsLeft: number
  readonly companiesMoved: number
  readonly error: string | null
}

/** Gives every bucket to the shard that the strategy names, and moves its companies, while all are read and written. */
export interface Rebalancer {
  /** Asks for one, or finds the one that is running. */
  request(): Promise<Rebalance>
  list(limit: number): Promise<Rebalance[]>
  /** @throws AppError NOT_FOUND */
  find(id: number): Promise<Rebalance>
  /** The one that is running: stops before its next company, or goes on. Null where that changes nothing. */
  steer(paused: boolean): Promise<Rebalance | null>
  /** Stops before its next company. What has moved stays where it is. */
  cancel(id: number): Promise<void>
  /** Works at it until it is done, unless another process does. Safe to call again after any crash. */
  run(id: number, options?: { signal?: AbortSignal; onProgress?: (progress: Rebalance) => void }): Promise<Rebalance>
  /** Takes up one that nobody works at. */
  runIdle(signal?: AbortSignal): Promise<void>
}

/** Buckets whose creations are held back together while their last companies are looked for. */
const bucketsAtOnce = 256
const otherMoverMs = 200

const columns = `id, state, paused, buckets, buckets_left as "bucketsLeft", companies_moved as "companiesMoved", error`

interface Held extends Rebalance {
  readonly lease: number
}

export function createRebalancer(deps: {
  store: Store
  mover: Mover
  logger: Logger
  /** After the directory has changed: tell the other processes. */
  onDirectoryChanged?: () => Promise<void> | void
}): Rebalancer {
  const { store, mover, logger } = deps
  const { catalog } = store

  async function find(id: number): Promise<Rebalance> {
    const [row] = await catalog<Rebalance[]>`select ${catalog.unsafe(columns)} from rebalances where id = ${id}`
    if (row === undefined) throw new AppError('NOT_FOUND', 'There is no such rebalance.')
    return row
  }

  async function take(id: number): Promise<Held | null> {
    const [row] = await catalog<Held[]>`
      update rebalances
      set lease = nextval('mover_leases'), leased_until = now() + ${leaseMs} * interval '1 ms', updated_at = now()
      where id = ${id} and state = 'running' and not paused and leased_until <= now()
      returning ${catalog.unsafe(columns)}, lease`
    return row ?? null
  }

  /** Renews the lease and tells how far it is. @throws MoveInterrupted */
  async function renew(held: Held, left: number | null, moved: number): Promise<Rebalance> {
    const [row] = await catalog<(Rebalance & { cancel: boolean })[]>`
      update rebalances set
        leased_until = now() + ${leaseMs} * interval '1 ms', updated_at = now(),
        buckets_left = coalesce(${left}, buckets_left), buckets = greatest(buckets, coalesce(${left}, 0)),
        companies_moved = companies_moved + ${moved}
      where id = ${held.id} and lease = ${held.lease} and state = 'running'
      returning ${catalog.unsafe(columns)}, cancel`
    if (row === undefined) throw new MoveInterrupted('lost')
    if (row.cancel) throw new MoveInterrupted('cancelled')
    if (row.paused) throw new MoveInterrupted('paused')
    return row
  }

  async function end(held: Held, state: Rebalance['state'], error: string | null): Promise<void> {
    await catalog`
      update rebalances set state = ${state}, error = ${error}, leased_until = now(), updated_at = now()
      where id = ${held.id} and lease = ${held.lease} and state = 'running'`
  }

  async function work(
    held: Held,
    signal: AbortSignal | undefined,
    onProgress: ((progress: Rebalance) => void) | undefined,
  ): Promise<void> {
    await pruneOverrides()
    // A long move or listing must not let the lease run out.
    let lost: Error | undefined
    const heartbeat = setInterval(() => {
      renew(held, null, 0).catch((error: Error) => (lost = error))
    }, leaseMs / 4)
    try {
      for (;;) {
        const directory = await loadDirectory(catalog)
        const changes = changesOf(directory)
        const tell = async (moved: number): Promise<void> => {
          if (lost !== undefined) throw lost
          requireWanted(signal)
          const progress = await renew(held, changes.length, moved)
          onProgress?.(progress)
        }
        await tell(0)
        const [first] = changes
        if (first === undefined) break
        const { source, target } = first
        // The same source and target, so that one flip and one listing serve many buckets.
        const batch = changes.filter((change) => change.source === source && change.target === target)
        const buckets = new Set(batch.slice(0, bucketsAtOnce).map(({ bucket }) => bucket))
        await moveCompanies(directory, source, target, buckets, tell, signal)
        await flipBuckets({ store, directory, source, target, buckets })
        await store.refresh()
        await deps.onDirectoryChanged?.()
        logger.info({ source, target, buckets: buckets.size }, 'buckets have moved')
        // Companies that were created while the others moved have stayed behind.
        await moveCompanies(await loadDirectory(catalog), source, target, buckets, tell, signal)
      }
    } finally {
      clearInterval(heartbeat)
    }
    await pruneOverrides()
  }

  async function moveCompanies(
    directory: Directory,
    source: ShardId,
    target: ShardId,
    buckets: ReadonlySet<number>,
    tell: (moved: number) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const companyId of await companiesOf(store, source, (id) => buckets.has(directory.strategy.bucketOf(id)))) {
      if (locate(directory, companyId) !== source) continue
      requireWanted(signal)
      await moveCompany(companyId, target, tell, signal)
      await tell(1)
    }
  }

  /** Whoever does it: another worker may have been quicker to take it. */
  async function moveCompany(
    companyId: CompanyId,
    target: ShardId,
    tell: (moved: number) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { id } = await mover.plan(companyId, target)
    for (;;) {
      const { state, paused } = await mover.run(id, signal)
      if (state === 'done' || state === 'flipped') return
      requireWanted(signal)
      if (state === 'failed' || state === 'cancelled') {
        throw new AppError('INVALID_TRANSITION', `The move of company "${companyId}" is ${state}.`)
      }
      if (paused) throw new MoveInterrupted('paused')
      await tell(0)
      await setTimeout(otherMoverMs)
    }
  }

  function changesOf(directory: Directory): { bucket: number; source: ShardId; target: ShardId }[] {
    const wanted = directory.strategy.assign([...directory.shards.values()])
    return directory.buckets.flatMap((source, bucket) => {
      const target = wanted[bucket]
      return target === undefined || target === source ? [] : [{ bucket, source, target }]
    })
  }

  /** Overrides that say what the bucket says by now. */
  async function pruneOverrides(): Promise<void> {
    const directory = await loadDirectory(catalog)
    const superfluous = [...directory.overrides]
      .filter(([company, { shard }]) => directory.buckets[directory.strategy.bucketOf(company)] === shard)
      .map(([company]) => company)
    if (superfluous.length === 0) return
    await catalog.begin(async (tx) => {
      // A recent one still says what a replica must have replayed.
      const pruned = await tx`
        delete from company_overrides
        where company_id = any (${superfluous}::text[]) and arrived_at < now() - interval '1 minute'`
      if (pruned.count > 0) await tx`update deployment set epoch = epoch + 1`
    })
  }

  const rebalancer: Rebalancer = {
    async request() {
      await catalog`insert into rebalances default values on conflict do nothing`
      const [row] = await catalog<Rebalance[]>`
        select ${catalog.unsafe(columns)} from rebalances order by id desc limit 1`
      if (row === undefined) throw new AppError('CATALOG_UNAVAILABLE', 'The rebalance could not be asked for.')
      return row
    },
    list: (limit) => catalog<Rebalance[]>`
      select ${catalog.unsafe(columns)} from rebalances order by id desc limit ${limit}`,
    find,
    async steer(paused) {
      const [row] = await catalog<Rebalance[]>`
        update rebalances set paused = ${paused} where state = 'running' and paused <> ${paused}
        returning ${catalog.unsafe(columns)}`
      return row ?? null
    },
    async cancel(id) {
      const { count } = await catalog`update rebalances set cancel = true where id = ${id} and state = 'running'`
      if (count === 0) throw new AppError('INVALID_TRANSITION', `The rebalance is ${(await find(id)).state} already.`)
    },
    async run(id, { signal, onProgress } = {}) {
      const held = await take(id)
      if (held === null) return find(id)
      try {
        await work(held, signal, onProgress)
        await end(held, 'done', null)
      } catch (error) {
        if (error instanceof MoveInterrupted)
          await end(held, error.reason === 'cancelled' ? 'cancelled' : 'running', null)
        else if (isAppError(error) && !error.retryable) await end(held, 'failed', `${error.code}: ${error.message}`)
        else {
          await end(held, 'running', isAppError(error) ? error.code : 'failed').catch(() => {})
          throw error
        }
      }
      return find(id)
    },
    async runIdle(signal) {
      const [row] = await catalog<{ id: number }[]>`
        select id from rebalances where state = 'running' and not paused and leased_until <= now()`
      if (row !== undefined) await rebalancer.run(row.id, signal === undefined ? {} : { signal })
    },
  }
  return rebalancer
}

function requireWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new MoveInterrupted('lost')
}

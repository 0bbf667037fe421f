import { AppError, isAppError } from '../core/errors.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { originOf } from '../ledger/entry.ts'
import type { Ledger, NewRecord } from '../ledger/ledger.ts'
import { ownSource } from '../ledger/own-records.ts'
import { readRecordPages } from '../ledger/read.ts'
import type { ShardTx, Store, StoreScope } from '../store/store.ts'
import { lockCompany } from './lock-company.ts'
import { forEachAtOnce } from './at-once.ts'
import { partnerOf } from './relationship.ts'
import { addAction, readEdges, readKnownActions } from './relationship-edges.ts'
import { anyParked, park, type Parked, parkedBehind, touchParked, unpark } from './relationship-parking.ts'
import {
  acknowledgedRecord,
  actionRecord,
  deliveredKinds,
  readTold,
  receivedRecord,
  type Told,
} from './relationship-records.ts'
import type { PlacedAction } from './relationship-rules.ts'

/**
 * Brings what a company's ledger says of its relationships to the counterparts' shards. Everything may be delivered twice,
 * by several processes, and after any crash: a counterpart's own rows tell what it has. For each pair of companies it
 * happens in the ledger's order; a counterpart that cannot be reached is parked and holds up nobody else.
 */
export interface Counterparts {
  /** Records `from` to `from + count - 1` of a ledger. Fails only if the company's own shard does. */
  deliver(companyId: CompanyId, from: number, count: number, scope?: StoreScope): Promise<void>
  /**
   * Tries again all that waits on a shard, for as long as it takes: nothing that is parked is given up. Answers how many
   * counterparts still wait. @throws AppError SHARD_UNAVAILABLE
   */
  retryParked(shard: ShardId, scope?: StoreScope): Promise<number>
}

/** Records of one read, and of one transaction on a counterpart's shard. */
const maxRead = 500
const maxDelivered = 100
/** Counterparts written to at once. */
const maxAtOnce = 8
const defaultParkedPage = 500
/** A shard that is silent, rather than gone, must not hold up the others for as long as its statements may take. */
const firstTryMs = 10_000

interface Delivery {
  readonly position: number
  readonly leaf: Buffer
  readonly told: Exclude<Told, { kind: 'acknowledged' }>
}

export function createCounterparts(deps: {
  store: Store
  ledger: Ledger
  logger: Logger
  clock?: Clock
  /** Parked counterparts of one read. */
  parkedPage?: number
}): Counterparts {
  const { store, ledger, logger, clock = systemClock, parkedPage = defaultParkedPage } = deps

  async function read(companyId: CompanyId, from: number, to: number, partner: CompanyId | null, scope?: StoreScope) {
    const shard = store.shardOf(companyId)
    const [page] = await store.onPrimary(
      shard,
      async (sql) => {
        const pages = await readRecordPages(sql, [companyId], {
          first: maxRead,
          after: from - 1,
          before: to,
          filter: { kinds: [...deliveredKinds] },
        })
        // Afterwards: rows of a company that is moving away go only when this says so, and none may be missed.
        const here = await sql`select 1 from ledger_heads where company_id = ${companyId} and here`
        if (here.length === 0) throw new AppError('STALE_EPOCH', 'The ledger is not on its shard now.')
        return pages
      },
      scope,
    )
    const rows = page?.records ?? []
    const deliveries = rows.flatMap(({ position, kind, leaf, data }): Delivery[] => {
      const told = readTold(companyId, kind, data)
      if (told === null || told.kind === 'acknowledged') return []
      if (partner !== null && partnerOf(told.parts, companyId) !== partner) return []
      return [{ position, leaf, told }]
    })
    const next = page?.hasNextPage === true ? (rows.at(-1)?.position ?? to) + 1 : to
    return { deliveries, next }
  }

  async function onOwnShard<T>(
    companyId: CompanyId,
    write: (tx: ShardTx) => Promise<T>,
    scope?: StoreScope,
  ): Promise<T> {
    const { value } = await store.transact(
      companyId,
      async (tx) => {
        await store.claim(tx, companyId)
        return write(tx)
      },
      scope,
    )
    return value
  }

  /** In order. On failure, answers the position of the first that has not surely arrived. */
  async function deliverTo(
    partner: CompanyId,
    from: CompanyId,
    deliveries: readonly Delivery[],
    scope?: StoreScope,
  ): Promise<{ failedAt: number; error: unknown } | null> {
    const origin = originOf(store.deployment, from)
    for (let start = 0; start < deliveries.length; start += maxDelivered) {
      const batch = deliveries.slice(start, start + maxDelivered)
      try {
        // Most of what comes twice (again after a crash, or written by an import) is recognised without a transaction.
        const known = await store.onPrimary(
          store.shardOf(partner),
          (sql) =>
            readKnownActions(
              sql,
              partner,
              batch.map(({ told }) => ({ id: told.parts.id, ...told.placed })),
            ),
          scope,
        )
        if (batch.every(({ told }, i) => (told.kind === 'action' ? known[i] !== null : known[i] === 'acknowledged'))) {
          continue
        }
        await ledger.change(
          partner,
          async (tx) => {
            await lockCompany(tx, partner)
            const records: NewRecord[] = []
            for (const { position, leaf, told } of batch) {
              const at = { origin, position, leaf: leaf.toString('base64') }
              if (told.kind === 'action') {
                if (await addAction(tx, partner, told.parts, told.placed)) {
                  records.push(receivedRecord(told.parts.id, told.placed, at))
                }
              } else {
                const { clock } = told.placed
                const acknowledged = await tx`
                  update relationship_actions set acknowledged = true
                  where company_id = ${partner} and relationship_id = ${told.parts.id} and clock = ${clock}
                    and actor = ${partner} and not acknowledged
                  returning 1`
                if (acknowledged.length > 0) records.push(acknowledgedRecord(told.parts.id, clock, at))
              }
            }
            return { value: undefined, records }
          },
          scope,
        )
      } catch (error) {
        if (isAppError(error, 'NOT_FOUND')) {
          await endUnknown(from, partner, batch, scope)
          continue
        }
        // Whatever it is, it is the counterpart's, and holds up nobody else; ours is to hear of the end of our work.
        if (scope?.signal?.aborted === true) throw error
        return { failedAt: batch[0]?.position ?? 0, error }
      }
    }
    return null
  }

  /** Nobody is there to be told: invited while the shard was down, which then could not say so. The inviter hears of it. */
  async function endUnknown(
    from: CompanyId,
    partner: CompanyId,
    deliveries: readonly Delivery[],
    scope?: StoreScope,
  ): Promise<void> {
    const named = new Map(deliveries.map(({ told }) => [told.parts.id, told.parts]))
    await ledger.change(
      from,
      async (tx) => {
        await lockCompany(tx, from)
        const keys = [...named.keys()].map((id) => ({ companyId: from, id }))
        const records: NewRecord[] = []
        for (const { id, status, invitedBy, clock: last } of await readEdges(tx, keys)) {
          const parts = named.get(id)
          if (parts === undefined || status !== 'INVITED' || invitedBy !== from) continue
          const at = new Date(clock.now()).toISOString()
          const end: PlacedAction = { action: 'end', actor: from, clock: last + 1, at, terms: null, rating: null }
          await addAction(tx, from, parts, end)
          records.push(actionRecord(id, end, ownSource))
        }
        return { value: undefined, records }
      },
      scope,
    )
    logger.warn({ from, partner }, 'a relationship names a company that does not exist')
  }

  /** True where all that waited has arrived. */
  async function tryParked(parked: Parked, down: Set<ShardId>, scope?: StoreScope): Promise<boolean> {
    const { companyId, partnerId, fromPosition, touched } = parked
    const theirs = store.shardOf(partnerId)
    if (down.has(theirs)) return false
    for (let at = fromPosition; ;) {
      const { deliveries, next } = await read(companyId, at, Number.MAX_SAFE_INTEGER, partnerId, scope)
      const failure = await deliverTo(partnerId, companyId, deliveries, scope)
      if (failure !== null) {
        // One is enough to know for all that wait for it, until the next round.
        if (isAppError(failure.error, 'SHARD_UNAVAILABLE')) down.add(theirs)
        return false
      }
      if (next === Number.MAX_SAFE_INTEGER) break
      at = next
    }
    // Where more has come since the row was read it stays, and the next round delivers that.
    return await onOwnShard(companyId, (tx) => unpark(tx, companyId, partnerId, touched), scope)
  }

  return {
    async deliver(companyId, from, count, scope) {
      const end = from + count
      for (let at = from; at < end;) {
        const { deliveries, next } = await read(companyId, at, end, null, scope)
        const byPartner = Map.groupBy(deliveries, ({ told }) => partnerOf(told.parts, companyId))
        const shard = store.shardOf(companyId)
        const waiting = new Set(
          byPartner.size > 0 && (await store.onPrimary(shard, (sql) => anyParked(sql, companyId), scope))
            ? await onOwnShard(companyId, (tx) => touchParked(tx, companyId, [...byPartner.keys()]), scope)
            : [],
        )
        await forEachAtOnce(
          [...byPartner].filter(([partner]) => !waiting.has(partner)),
          maxAtOnce,
          async ([partner, theirs]) => {
            const failure = await deliverTo(partner, companyId, theirs, {
              ...scope,
              deadlineMs: Date.now() + firstTryMs,
            })
            if (failure === null) return
            await onOwnShard(companyId, (tx) => park(tx, companyId, partner, failure.failedAt), scope)
            const { error } = failure
            const expected = isAppError(error) && error.retryable
            logger.warn(
              { companyId, partner, ...(expected ? { code: error.code } : { error }) },
              'a counterpart is parked',
            )
          },
        )
        at = next
      }
    },

    async retryParked(shard, scope) {
      const down = new Set<ShardId>()
      let left = 0
      for (let after: Parked | null = null; ;) {
        const page: Parked[] = await store.onPrimary(shard, (sql) => parkedBehind(sql, after, parkedPage), scope)
        await forEachAtOnce(page, maxAtOnce, async (parked) => {
          try {
            if (!(await tryParked(parked, down, scope))) left += 1
          } catch (error) {
            if (scope?.signal?.aborted === true) throw error
            // One that cannot be tried now (it is moving, say) must not keep the others waiting.
            left += 1
            logger.debug({ companyId: parked.companyId, error }, 'a parked counterpart could not be tried')
          }
        })
        after = page.at(-1) ?? null
        if (page.length < parkedPage) return left
      }
    },
  }
}

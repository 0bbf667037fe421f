import { type AppError, isAppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { originOf } from '../ledger/entry.ts'
import type { Ledger, NewRecord } from '../ledger/ledger.ts'
import { readRecordPages } from '../ledger/read.ts'
import type { ShardTx, Store, StoreScope } from '../store/store.ts'
import { lockCompany } from './lock-company.ts'
import { forEachAtOnce } from './at-once.ts'
import { partnerOf } from './relationship.ts'
import { addAction, readKnownActions } from './relationship-edges.ts'
import { acknowledgedRecord, deliveredKinds, readTold, receivedRecord, type Told } from './relationship-records.ts'
import { anyParked, park, parkedOf, touchParked, unpark } from './relationship-parking.ts'

/**
 * Brings what a company's ledger says of its relationships to the counterparts' shards. Everything may be delivered twice,
 * by several processes, and after any crash: a counterpart's own rows tell what it has. For each pair of companies it
 * happens in the ledger's order; a counterpart that cannot be reached is parked and holds up nobody else.
 */
export interface Counterparts {
  /** Records `from` to `from + count - 1` of a ledger. Fails only if the company's own shard does. */
  deliver(companyId: CompanyId, from: number, count: number, scope?: StoreScope): Promise<void>
  /** Tries again what waits on a shard; answers how many counterparts still wait. @throws AppError SHARD_UNAVAILABLE */
  retryParked(shard: ShardId, scope?: StoreScope): Promise<number>
}

/** Records of one read, and of one transaction on a counterpart's shard. */
const maxRead = 500
const maxDelivered = 100
/** Counterparts written to at once. */
const maxAtOnce = 8

interface Delivery {
  readonly position: number
  readonly leaf: Buffer
  readonly told: Exclude<Told, { kind: 'acknowledged' }>
}

export function createCounterparts(deps: { store: Store; ledger: Ledger; logger: Logger }): Counterparts {
  const { store, ledger, logger } = deps

  async function read(companyId: CompanyId, from: number, to: number, partner: CompanyId | null, scope?: StoreScope) {
    const shard = store.shardOf(companyId)
    const [page] = await store.onPrimary(
      shard,
      (sql) =>
        readRecordPages(sql, [companyId], {
          first: maxRead,
          after: from - 1,
          before: to,
          filter: { kinds: [...deliveredKinds] },
        }),
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
  ): Promise<{ failedAt: number; error: AppError } | null> {
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
          // Invitations check that the company exists, and companies are never deleted: nobody is there to be told.
          logger.error({ from, partner, error }, 'a relationship names a company that does not exist')
          return null
        }
        if (!isAppError(error) || !error.retryable) throw error
        return { failedAt: batch[0]?.position ?? 0, error }
      }
    }
    return null
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
            const failure = await deliverTo(partner, companyId, theirs, scope)
            if (failure === null) return
            await onOwnShard(companyId, (tx) => park(tx, companyId, partner, failure.failedAt), scope)
            logger.warn({ companyId, partner, code: failure.error.code }, 'a counterpart is parked')
          },
        )
        at = next
      }
    },

    async retryParked(shard, scope) {
      const parked = await store.onPrimary(shard, parkedOf, scope)
      let left = 0
      await forEachAtOnce(parked, maxAtOnce, async ({ companyId, partnerId, fromPosition, touched }) => {
        for (let at = fromPosition; ;) {
          const { deliveries, next } = await read(companyId, at, Number.MAX_SAFE_INTEGER, partnerId, scope)
          const failure = await deliverTo(partnerId, companyId, deliveries, scope)
          if (failure !== null) {
            left += 1
            return
          }
          if (next === Number.MAX_SAFE_INTEGER) break
          at = next
        }
        // More has come since the row was read: it stays, and the next round delivers that.
        if (!(await onOwnShard(companyId, (tx) => unpark(tx, companyId, partnerId, touched), scope))) left += 1
      })
      return left
    },
  }
}

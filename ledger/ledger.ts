import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, type Clock } from '../core/clock.ts'
import { AppError, isAppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import { type Metrics, silentMetrics } from '../core/metrics.ts'
import { parseLsn, type PositionToken } from '../core/position.ts'
import type { ShardSql, ShardTx, Store, StoreScope } from '../store/store.ts'
import { createGrouping } from './append-group.ts'
import { appendItems, type AppendAnswer, type AppendCall, type AppendItem, type AppendOutcome } from './append.ts'
import { createLedgerMetrics } from './ledger-metrics.ts'
import { defaultLedgerLimits, type LedgerLimits } from './limits.ts'
import { prepareItem, type Origin } from './prepare.ts'
import { createSubjectKeys } from './private/subject-keys.ts'
import { readRecords } from './read.ts'
import type { AppendedRecord, Expectation, NewRecord } from './record.ts'
import { findReplay } from './replay.ts'
import { createSchemaCache } from './schemas/schemas.ts'
import { formatTime } from '../core/time.ts'

export type { JsonObject } from '../core/json/canonical.ts'
export type { AppendedRecord, Expectation, LedgerRecord, NewRecord } from './record.ts'

export interface ToAppend {
  readonly records: readonly NewRecord[]
  readonly expected?: readonly Expectation[] | undefined
}

export interface Appended {
  /** In the order given; one that its key shows to be a repetition is the first receipt, `duplicate`. */
  readonly records: AppendedRecord[]
  readonly position: PositionToken
}

/**
 * Errors of both: VERSION_CONFLICT with details {stream, expected, actual}, IDEMPOTENCY_CONFLICT, BAD_USER_INPUT,
 * LIST_TOO_LONG, PAYLOAD_TOO_LARGE, SCHEMA_VIOLATION, JSON_*, SHARD_UNAVAILABLE.
 */
export interface Ledger {
  /**
   * One business change and its records in one transaction: `fn` does the writes and returns what to append; the append
   * is the last statement. `fn` MUST be safe to run again. Begins the company's ledger when there is none. No records: no
   * append.
   */
  change<T>(
    companyId: CompanyId,
    fn: (tx: ShardTx, shard: ShardId) => Promise<{ value: T } & ToAppend>,
    scope?: StoreScope,
  ): Promise<{ value: T } & Appended>
  /**
   * An append of a caller's records, all of them or none, sent together with concurrent ones to the same ledger. What
   * only Ledgerway writes (`own-records.ts`) is refused. @throws AppError NOT_FOUND (no such ledger) | OVERLOADED
   */
  append(companyId: CompanyId, input: ToAppend, scope?: StoreScope): Promise<Appended>
}

export interface LedgerDeps {
  readonly store: Store
  readonly clock?: Clock
  /** 32 bytes that subjects' keys are encrypted under; without it there are no private parts. */
  readonly wrappingKey?: Buffer | null
  /** Called after the commit, once for every change; it wakes the shard's relay. MUST NOT throw. */
  readonly onAppended?: (shard: ShardId, companyId: CompanyId) => void
  readonly limits?: Partial<LedgerLimits>
  readonly metrics?: Metrics
}

const staleLimitMs = 5_000
const rekeyRetries = 5
const schemaRetries = 5

export function createLedger(deps: LedgerDeps): Ledger {
  const { store, clock = systemClock, onAppended = () => {} } = deps
  const limits = { ...defaultLedgerLimits, ...deps.limits }
  const measures = createLedgerMetrics(deps.metrics ?? silentMetrics)
  const subjectKeys = createSubjectKeys(deps.wrappingKey ?? null)
  const schemas = createSchemaCache()

  /** In a transaction or, with `create` false, on its own. */
  async function send(
    sql: ShardSql,
    companyId: CompanyId,
    items: readonly AppendItem[],
    { create, schemas }: { create: boolean; schemas: number | null },
  ): Promise<AppendAnswer> {
    const subjects = items.flatMap((item) =>
      item.records.flatMap((record) => (record.private === null ? [] : [record.private.subject])),
    )
    for (let attempt = 1; ; attempt++) {
      const call: AppendCall = {
        companyId,
        deployment: store.deployment,
        now: formatTime(clock.now()),
        create,
        schemas,
        packFromBytes: limits.packFromBytes,
        subjectKeys: subjects.length === 0 ? new Map() : await subjectKeys.obtain(sql, companyId, subjects),
      }
      const answer = await appendItems(sql, call, items)
      // A subject was erased in between: what is appended now begins anew under another key.
      if (answer.kind !== 'rekey' || attempt > rekeyRetries) return answer
    }
  }

  /** Once more for items that only a comparison can decide; records are never changed, so the answer holds. */
  async function settle(
    sql: ShardSql,
    companyId: CompanyId,
    item: AppendItem,
    outcome: AppendOutcome,
    schemas: number | null,
  ): Promise<Settled> {
    for (let attempt = 1; outcome.kind === 'compare' && attempt <= 3; attempt++) {
      const replay = await findReplay(sql, subjectKeys, companyId, item)
      if (replay.kind === 'key') return { kind: 'failed', error: keyConflict(item, replay.index) }
      if (replay.kind === 'repeated') {
        return {
          kind: 'appended',
          records: item.records.map(() => null),
          duplicates: new Map(replay.positions.entries()),
        }
      }
      const answer = await send(sql, companyId, [{ ...item, known: replay.known }], { create: false, schemas })
      const [next] = answer.kind === 'done' ? answer.outcomes : []
      if (next === undefined) break
      outcome = next
    }
    if (outcome.kind === 'appended') return outcome
    if (outcome.kind === 'version') return { kind: 'failed', error: versionConflict(outcome) }
    if (outcome.kind === 'key') return { kind: 'failed', error: keyConflict(item, outcome.index) }
    return { kind: 'failed', error: new AppError('OVERLOADED', 'The ledger changed too often; try again.') }
  }

  /** Puts the first receipts where records are repetitions. */
  async function receipts(sql: ShardSql, companyId: CompanyId, settled: AppendedItem): Promise<AppendedRecord[]> {
    const { records, duplicates } = settled
    if (duplicates.size === 0) return records.filter((record) => record !== null)
    const stored = await readRecords(
      sql,
      [...duplicates.values()].map((position) => ({ companyId, position })),
    )
    const byPosition = new Map(stored.map((record) => [record.position, record]))
    return records.map((record, index) => {
      const first = byPosition.get(duplicates.get(index) ?? -1)
      if (record !== null) return record
      if (first === undefined) throw new AppError('LEDGER_CORRUPT', 'A record that was appended is gone.')
      return { ...first, duplicate: true }
    })
  }

  type GroupResult = { records: AppendedRecord[]; position: PositionToken } | { error: AppError }
  interface Submission extends AppendItem {
    readonly weight: number
    readonly keys: readonly string[]
    readonly scope: StoreScope | undefined
  }

  type ItemResult = { records: AppendedRecord[] } | { error: AppError }

  /** Appends those that fit the schemas in force, as many rounds of validation as it takes to know these. */
  async function appendValid(sql: ShardSql, companyId: CompanyId, items: readonly Submission[]): Promise<ItemResult[]> {
    const results: ItemResult[] = []
    for (let attempt = 1; attempt <= schemaRetries; attempt++) {
      const valid: { item: Submission; place: number }[] = []
      for (const [place, item] of items.entries()) {
        try {
          schemas.check(companyId, item)
          valid.push({ item, place })
        } catch (error) {
          if (!isAppError(error)) throw error
          results[place] = { error }
        }
      }
      if (valid.length === 0 && attempt > 1) return results
      const number = schemas.number(companyId)
      // Nothing is sent where nothing fits; but what this process knows may be out of date.
      const answer: AppendAnswer =
        valid.length === 0
          ? { kind: 'schemas' }
          : await send(
              sql,
              companyId,
              valid.map(({ item }) => item),
              { create: false, schemas: number },
            )
      if (answer.kind === 'absent') {
        throw new AppError('NOT_FOUND', `There is no company ${companyId}.`, { details: { companyId } })
      }
      if (answer.kind === 'schemas') {
        await schemas.load(sql, companyId)
        continue
      }
      if (answer.kind === 'rekey') break
      await Promise.all(
        valid.map(async ({ item, place }, index) => {
          const one = await settle(sql, companyId, item, answer.outcomes[index] as AppendOutcome, number)
          results[place] = one.kind === 'failed' ? one : { records: await receipts(sql, companyId, one) }
        }),
      )
      return results
    }
    throw new AppError('OVERLOADED', 'Schemas or subjects of the ledger change all the time; try again.')
  }

  async function runGroup(lane: string, items: Submission[]): Promise<() => Promise<GroupResult[]>> {
    const companyId = lane as CompanyId
    // A group has no one caller, so neither deadline nor signal; its statements count for the first.
    const onStatement = items[0]?.scope?.onStatement
    const scope: StoreScope = onStatement === undefined ? {} : { onStatement }
    const startedAt = clock.now()
    measures.grouped(items.length)
    for (;;) {
      const epoch = store.epoch()
      const shard = store.shardOf(companyId)
      try {
        const settled = await store.onPrimary(shard, (sql) => appendValid(sql, companyId, items), scope)
        onAppended(shard, companyId)
        return async () => {
          // Read after the commit, while the next group is on its way.
          const [row] = await store.onPrimary(
            shard,
            (sql) => sql<[{ lsn: string }]>`select pg_current_wal_flush_lsn()::text as lsn`,
            scope,
          )
          const position = { epoch, shards: new Map([[shard, parseLsn(row.lsn)]]) }
          return settled.map((one): GroupResult => ('error' in one ? one : { ...one, position }))
        }
      } catch (error) {
        if (!isAppError(error, 'STALE_EPOCH') || clock.now() - startedAt > staleLimitMs) throw error
        await store.refresh().catch(() => {})
        if (store.epoch() === epoch) await sleep(10 + Math.random() * 30)
      }
    }
  }

  const grouping = createGrouping<Submission, GroupResult>({
    run: runGroup,
    maxWeight: limits.maxGroupRecords,
    maxWaiting: limits.maxWaiting,
  })

  const prepare = (input: ToAppend, origin: Origin) => prepareItem(input, origin, limits)

  return {
    async change(companyId, fn, scope) {
      let written: ShardId | null = null
      const { value, position } = await store.transact(
        companyId,
        async (tx, shard) => {
          const { value, ...input } = await fn(tx, shard).catch(async (error: unknown) => {
            if (!isAppError(error, 'NOT_FOUND')) throw error
            // What has moved away is missing too: refuses by STALE_EPOCH then. From here on the company stays, if it is here.
            await store.claim(tx, companyId)
            return fn(tx, shard)
          })
          if (input.records.length === 0) return { value, records: [] }
          const item = prepare(input, 'internal')
          // A transaction runs statements as a pool does; only the types differ.
          const sql = tx as unknown as ShardSql
          let answer = await send(sql, companyId, [item], { create: false, schemas: null })
          if (answer.kind === 'absent') {
            await store.claim(tx, companyId)
            answer = await send(sql, companyId, [item], { create: true, schemas: null })
          }
          if (answer.kind !== 'done') throw new AppError('OVERLOADED', 'A subject is being erased; try again.')
          const settled = await settle(sql, companyId, item, answer.outcomes[0] as AppendOutcome, null)
          if (settled.kind === 'failed') throw settled.error
          const records = await receipts(sql, companyId, settled)
          written = shard
          return { value, records }
        },
        scope,
      )
      if (written !== null) onAppended(written, companyId)
      measures.appended('change', value.records.length)
      return { ...value, position }
    },

    async append(companyId, input, scope) {
      const item = prepare(input, 'caller')
      scope?.signal?.throwIfAborted()
      try {
        const result = await grouping.submit(companyId, {
          ...item,
          weight: item.records.length,
          keys: item.records.flatMap(({ key }) => (key === null ? [] : [key])),
          scope,
        })
        if ('error' in result) throw result.error
        measures.appended('append', result.records.length)
        return result
      } catch (error) {
        measures.refused(error)
        throw error
      }
    },
  }
}

type AppendedItem = Extract<AppendOutcome, { kind: 'appended' }>
type Settled = AppendedItem | { kind: 'failed'; error: AppError }

function versionConflict(outcome: Extract<AppendOutcome, { kind: 'version' }>): AppError {
  const { stream, expected, actual } = outcome
  return new AppError('VERSION_CONFLICT', `The stream "${stream}" has version ${actual}, not ${expected}.`, {
    details: { stream, expected, actual },
  })
}

function keyConflict(item: AppendItem, index: number): AppError {
  const key = item.records[index]?.key ?? null
  return new AppError('IDEMPOTENCY_CONFLICT', 'The idempotency key was used for other content.', {
    details: { key, path: `$.records[${index}].key` },
  })
}

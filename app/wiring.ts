import { Redis } from 'ioredis'
import type { AnswerCache } from '../cache/answer-cache.ts'
import { settled } from '../core/settled.ts'
import type { ChangeStream } from '../events/change-stream.ts'
import type { PartHealth, Readiness } from '../gateway/http/health.ts'
import { feedLags } from '../ledger/feed-lag.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Ledger, LedgerRecord } from '../ledger/ledger.ts'
import { readRecordPages, readRecords } from '../ledger/read.ts'
import { verifyStored, type VerifyStoredDeps } from '../ledger/verify-stored.ts'
import type { ReadPage } from '../events/follow.ts'
import type { Store } from '../store/store.ts'
import type { Webhooks } from '../webhooks/webhooks.ts'
import type { WorkersDeps } from '../workers/create-workers.ts'
import { ownSource } from '../ledger/own-records.ts'

/** Where one part's port meets another part's function. Nothing here decides anything. */

/**
 * Begins every key and channel that is ours in Redis and on the bus. Two deployments may share a Redis and even a name: the
 * moment of their first start tells them apart.
 */
export async function namespaceOf(store: Store): Promise<string> {
  const [row] = await store.catalog<{ born: string }[]>`
    select to_char(extract(epoch from created_at) * 1000000, 'FM99999999999999999999') as born from deployment`
  return `ledgerway:${store.deployment}:${Number(row?.born ?? 0).toString(36)}:`
}

/** A client that fails fast while Redis is away, for what can do without it. */
export function openRedis(url: string): Redis & AsyncDisposable {
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 2_000 })
  // Without a handler an `error` event ends the process; the failing commands tell of it.
  redis.on('error', () => undefined)
  return Object.assign(redis, {
    [Symbol.asyncDispose]: () => {
      redis.disconnect()
      return Promise.resolve()
    },
  })
}

export const readPage: ReadPage<LedgerRecord> = async (sql, companyId, { from, limit }) => {
  const [page] = await readRecordPages(sql, [companyId], { first: limit, after: from - 1 })
  return page?.records ?? []
}

export const readRecord: WorkersDeps['readRecord'] = async (sql, companyId, position) => {
  const [record] = await readRecords(sql, [{ companyId, position }])
  return record
}

/** Without its owner's doing: the webhook's end and the record about it are one change. */
export function disableWebhook(ledger: Ledger, webhooks: Webhooks): WorkersDeps['disableWebhook'] {
  return async (companyId, webhookId, reason) => {
    await ledger.change(companyId, async (tx) => {
      const { was } = await webhooks.setEnabled(tx, companyId, webhookId, false, reason)
      const data = { webhook: webhookId, reason }
      const record = { kind: 'webhook.disabled', source: ownSource, stream: `webhook/${webhookId}`, data }
      return { value: undefined, records: was ? [record] : [] }
    })
  }
}

export function verifyStoredWith(deps: VerifyStoredDeps): WorkersDeps['verify'] {
  return async (companyId, { from, until, signal, onProgress }) => {
    const found = await verifyStored(deps, companyId, {
      from,
      ...(until === undefined ? {} : { until }),
      onProgress: (done, total) => void onProgress(done, total),
      scope: { signal },
    })
    const last = { companyId, position: found.until - 1 }
    const [record] = await deps.store.readOne(companyId, (sql) => readRecords(sql, [last]))
    return { ...found, head: record?.leaf.toString('base64') ?? null }
  }
}

const lagAllowedMs = 60_000

/** How far the feed's consumers of a shard are behind, where that is worth an operator's look. */
function feedHealth(lags: Awaited<ReturnType<typeof feedLags>>, unreachable: readonly string[]): PartHealth {
  const late = lags.flatMap(({ shard, consumers }) =>
    consumers
      .filter(({ behindMs }) => behindMs > lagAllowedMs)
      .map(({ consumer, behindMs }) => `${consumer} on ${shard} is ${Math.round(behindMs / 1_000)} s behind`),
  )
  const details = [...unreachable.map((shard) => `the feed of ${shard} cannot be read`), ...late]
  return { ok: details.length === 0, ...(details.length === 0 ? {} : { detail: details.join('; ') }) }
}

/** Ready while every shard answers; one that does not is named. */
export async function dataReadiness({ store, changes }: { store: Store; changes: ChangeStream }): Promise<Readiness> {
  const scope = { deadlineMs: Date.now() + 1_500 }
  const [answers, lags] = await Promise.all([store.broadcast((sql) => sql`select 1`, scope), feedLags(store, scope)])
  const { bus, unreachable } = changes.health()
  const parts = {
    ...Object.fromEntries(answers.map(({ shard, ok }) => [`shard ${shard}`, { ok }])),
    bus: { ok: bus, ...(bus ? {} : { detail: 'events arrive by polling, later' }) },
    feed: feedHealth(lags, unreachable),
  }
  return { ready: answers.every(({ ok }) => ok), parts }
}

/** Without the cache everything answers, later. */
export function cacheReadiness(cache: AnswerCache): Readiness {
  const ok = cache.healthy()
  return { ready: true, parts: { cache: { ok, ...(ok ? {} : { detail: 'answers are not cached' }) } } }
}

/** Without queues nothing is lost: what follows from changes waits in the feed. */
export async function workersReadiness(jobs: Jobs): Promise<Readiness> {
  const counted = jobs.counts().then(
    () => true,
    () => false,
  )
  const ok = (await settled(counted, 1_500)) && (await counted)
  return { ready: true, parts: { queues: { ok, ...(ok ? {} : { detail: 'jobs wait' }) } } }
}

/** What the parts of one process say together. */
export async function allReady(checks: readonly (() => Promise<Readiness>)[]): Promise<Readiness> {
  const found = await Promise.all(checks.map((check) => check()))
  return { ready: found.every(({ ready }) => ready), parts: Object.assign({}, ...found.map(({ parts }) => parts)) }
}

export async function shardsAnswer(store: Store): Promise<boolean> {
  const answers = await store.broadcast((sql) => sql`select 1`, { deadlineMs: Date.now() + 1_500 })
  return answers.every(({ ok }) => ok)
}

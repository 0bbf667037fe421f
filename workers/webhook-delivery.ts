import { type Clock, systemClock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { type CompanyId, recordId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Processor } from '../jobs/processing.ts'
import type { ShardSql, Store } from '../store/store.ts'
import { logDelivery, trimDeliveries } from '../webhooks/delivery-log.ts'
import { signWebhook } from '../webhooks/signing.ts'
import type { Webhook, Webhooks } from '../webhooks/webhooks.ts'
import type { LedgerRecord } from '../ledger/record.ts'
import type { WebhookSender } from './webhook-request.ts'

/** What a receiver is told of a record: everything public of it. The private part is never sent. */
export type DeliverableRecord = Pick<
  LedgerRecord,
  | 'position'
  | 'kind'
  | 'source'
  | 'stream'
  | 'version'
  | 'data'
  | 'occurredAt'
  | 'recordedAt'
  | 'actor'
  | 'leaf'
  | 'previousLeaf'
>

/** Larger payloads are left out of the message, which then says so: the receiver reads the record by its id. */
const maxDataBytes = 128 * 1024

/**
 * Delivers one record to one webhook, as a job: tried again by the job's schedule, kept as a dead letter after that. The
 * message id is the record's id, the same for every try, so that receivers can tell a repetition.
 */
export function createWebhookDelivery(deps: {
  store: Store
  webhooks: Webhooks
  sender: WebhookSender
  readRecord(sql: ShardSql, companyId: CompanyId, position: number): Promise<DeliverableRecord | undefined>
  /** Disables the webhook and appends the record about it, in one transaction. */
  disable(companyId: CompanyId, webhookId: string, reason: string): Promise<void>
  logger: Logger
  clock?: Clock
}): Processor {
  const { store, webhooks, sender, readRecord, disable, logger, clock = systemClock } = deps

  return async ({ job, companyId, attempt, signal }) => {
    const webhookId = String(job.arguments['webhookId'])
    const position = Number(job.arguments['position'])
    const shard = store.shardOf(companyId)
    // The primary: a replica may not have the record yet, nor that the webhook was disabled.
    const opened = await store.onPrimary(shard, (sql) => webhooks.open(sql, companyId, webhookId))
    if (opened === undefined || !opened.webhook.enabled) return { delivered: false, reason: 'disabled' }
    const record = await store.onPrimary(shard, (sql) => readRecord(sql, companyId, position))
    if (record === undefined) throw new AppError('STALE_EPOCH', 'The record is not on its shard now.')

    const id = recordId(companyId, position)
    const payload = messageOf(companyId, record)
    const headers = signWebhook(opened.secrets, { id, timestampSeconds: Math.floor(clock.now() / 1000), payload })
    const begun = performance.now()
    const outcome = await sender.send(opened.webhook.url, headers, payload, signal)
    const durationMs = Math.round(performance.now() - begun)
    await store.transact(companyId, async (tx) => {
      // The company may have moved while the receiver took its time: the log goes with it.
      await store.claim(tx, companyId)
      await logDelivery(tx, {
        companyId,
        webhookId,
        position,
        attempt,
        status: outcome.status,
        error: outcome.kind === 'delivered' ? null : outcome.kind === 'gone' ? 'GONE' : outcome.error,
        durationMs,
      })
      // Now and then is enough for a bound.
      if (position % 100 === 0) await trimDeliveries(tx, companyId, webhookId)
    })

    if (outcome.kind === 'failed') {
      throw new AppError('DELIVERY_FAILED', `The webhook could not be delivered (${outcome.error}).`, {
        details: { status: outcome.status },
      })
    }
    if (outcome.kind === 'delivered') return { delivered: true, status: outcome.status }
    logger.info({ companyId, webhookId }, 'a webhook answered 410 and is disabled')
    await disable(companyId, webhookId, 'gone')
    return { delivered: false, reason: 'gone' }
  }
}

/** Standard Webhooks' payload: `type`, `timestamp`, `data`. The record's own data is its canonical text, unchanged. */
export function messageOf(companyId: CompanyId, record: DeliverableRecord): string {
  const omitted = record.data !== null && Buffer.byteLength(record.data) > maxDataBytes
  const envelope = {
    id: recordId(companyId, record.position),
    companyId,
    position: record.position,
    kind: record.kind,
    source: record.source,
    stream: record.stream,
    version: record.version,
    occurredAt: record.occurredAt,
    recordedAt: record.recordedAt,
    actor: record.actor,
    leaf: record.leaf.toString('base64'),
    previousLeaf: record.previousLeaf.toString('base64'),
    ...(omitted ? { dataOmitted: true } : {}),
  }
  const data = omitted ? 'null' : (record.data ?? 'null')
  const fields = `${JSON.stringify(envelope).slice(0, -1)},"data":${data}}`
  return `{"type":${JSON.stringify(record.kind)},"timestamp":${JSON.stringify(record.recordedAt)},"data":${fields}}`
}

/** Whether the webhook wants records of this kind. */
export function wants(webhook: Webhook, kind: string): boolean {
  return webhook.enabled && (webhook.kinds.length === 0 || webhook.kinds.includes(kind))
}

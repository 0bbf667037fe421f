import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, ShardTx } from '../store/store.ts'

/** One attempt to deliver one record to one webhook. References only. */
export interface DeliveryAttempt {
  readonly companyId: CompanyId
  readonly webhookId: string
  readonly position: number
  /** From 1; begins anew when a dead letter is redriven. */
  readonly attempt: number
  /** RFC 3339 with milliseconds. */
  readonly at: string
  readonly status: number | null
  readonly error: string | null
  readonly durationMs: number
}

/** Attempts kept of each webhook. */
const kept = 500

/** In a transaction that claims the company: an attempt may end after the company has moved to another shard. */
export async function logDelivery(tx: ShardTx, attempt: Omit<DeliveryAttempt, 'at'>): Promise<void> {
  await tx`
    insert into webhook_deliveries (company_id, webhook_id, position, attempt, status, error, duration_ms)
    values (${attempt.companyId}, ${attempt.webhookId}, ${attempt.position}, ${attempt.attempt}, ${attempt.status},
      ${attempt.error}, ${attempt.durationMs})
    on conflict (company_id, webhook_id, position, attempt) do update
      set at = clock_timestamp(), status = excluded.status, error = excluded.error, duration_ms = excluded.duration_ms`
}

/** The newest of many webhooks, newest first. One statement; index: webhook_deliveries_by_time, once a webhook. */
export async function readDeliveries(
  sql: ShardSql,
  webhooks: readonly { readonly companyId: CompanyId; readonly webhookId: string; readonly first: number }[],
): Promise<DeliveryAttempt[]> {
  return sql<DeliveryAttempt[]>`
    select d.company_id as "companyId", d.webhook_id as "webhookId", d.position, d.attempt,
      to_char(d.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, d.status, d.error,
      d.duration_ms as "durationMs"
    from unnest(${webhooks.map(({ companyId }) => companyId)}::text[], ${webhooks.map(({ webhookId }) => webhookId)}::text[],
        ${webhooks.map(({ first }) => first)}::integer[]) as w (company_id, webhook_id, first),
      lateral (
        select * from webhook_deliveries
        where company_id = w.company_id and webhook_id = w.webhook_id order by at desc limit w.first
      ) d
    order by d.company_id, d.webhook_id, d.at desc`
}

/** Deletes all but the newest attempts of the webhook. */
export async function trimDeliveries(tx: ShardTx, companyId: CompanyId, webhookId: string): Promise<void> {
  await tx`
    delete from webhook_deliveries
    where company_id = ${companyId} and webhook_id = ${webhookId} and at < (
      select at from webhook_deliveries
      where company_id = ${companyId} and webhook_id = ${webhookId}
      order by at desc offset ${kept} limit 1
    )`
}

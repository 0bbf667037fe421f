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

/** Newest first. Index: webhook_deliveries_by_time. */
export async function readDeliveries(
  sql: ShardSql,
  companyId: CompanyId,
  webhookId: string,
  first: number,
): Promise<DeliveryAttempt[]> {
  return sql<DeliveryAttempt[]>`
    select company_id as "companyId", webhook_id as "webhookId", position, attempt,
      to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at, status, error, duration_ms as "durationMs"
    from webhook_deliveries
    where company_id = ${companyId} and webhook_id = ${webhookId}
    order by webhook_deliveries.at desc limit ${first}`
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

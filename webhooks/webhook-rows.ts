import { and, count, eq, sql } from 'drizzle-orm'
import { boolean, customType, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import type { CompanyId } from '../core/ids.ts'
import type { ShardTx } from '../store/store.ts'
import { typedSql } from '../store/typed-sql.ts'
import type { Webhook } from './webhooks.ts'

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })
/** Postgres' time as text in RFC 3339 with milliseconds, as everywhere in answers. */
const createdAtText = sql<string>`to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** Migration 0300. */
const webhooks = pgTable(
  'webhooks',
  {
    companyId: text('company_id').$type<CompanyId>().notNull(),
    webhookId: text('webhook_id').notNull(),
    url: text().notNull(),
    kinds: text().array().notNull(),
    enabled: boolean().notNull().default(true),
    disabledReason: text('disabled_reason'),
    secret: bytea().notNull(),
    previousSecret: bytea('previous_secret'),
    previousUntil: timestamp('previous_until', { withTimezone: true }),
    createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.companyId, table.webhookId] })],
)

const deliveries = pgTable('webhook_deliveries', {
  companyId: text('company_id').$type<CompanyId>().notNull(),
  webhookId: text('webhook_id').notNull(),
})

const shown = {
  id: webhooks.webhookId,
  companyId: webhooks.companyId,
  url: webhooks.url,
  kinds: webhooks.kinds,
  enabled: webhooks.enabled,
  disabledReason: webhooks.disabledReason,
  createdAt: createdAtText,
}

const one = (companyId: CompanyId, webhookId: string) =>
  and(eq(webhooks.companyId, companyId), eq(webhooks.webhookId, webhookId))

/** Index: webhooks_pkey. */
export async function countWebhooks(tx: ShardTx, companyId: CompanyId): Promise<number> {
  const [row] = await typedSql(tx).select({ rows: count() }).from(webhooks).where(eq(webhooks.companyId, companyId))
  return row?.rows ?? 0
}

export async function insertWebhook(
  tx: ShardTx,
  row: Pick<typeof webhooks.$inferInsert, 'companyId' | 'webhookId' | 'url' | 'kinds' | 'secret' | 'createdAt'>,
): Promise<Webhook | undefined> {
  const [inserted] = await typedSql(tx).insert(webhooks).values(row).returning(shown)
  return inserted
}

/** The secret so far goes on beside the new one until `previousUntil`. */
export async function replaceSecret(
  tx: ShardTx,
  companyId: CompanyId,
  webhookId: string,
  to: { secret: Buffer; previousUntil: Date },
): Promise<Webhook | undefined> {
  const [updated] = await typedSql(tx)
    .update(webhooks)
    .set({ previousSecret: sql`${webhooks.secret}`, ...to })
    .where(one(companyId, webhookId))
    .returning(shown)
  return updated
}

/** With its delivery log. False where there was none. */
export async function deleteWebhook(tx: ShardTx, companyId: CompanyId, webhookId: string): Promise<boolean> {
  const db = typedSql(tx)
  await db.delete(deliveries).where(and(eq(deliveries.companyId, companyId), eq(deliveries.webhookId, webhookId)))
  const gone = await db.delete(webhooks).where(one(companyId, webhookId)).returning({ id: webhooks.webhookId })
  return gone.length > 0
}

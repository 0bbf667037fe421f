import { bigint, boolean, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core'

/** `company_moves` of the catalog, as the migrations make it: a test holds the two together. */
export const companyMoves = pgTable('company_moves', {
  id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  companyId: text('company_id').notNull(),
  source: text().notNull(),
  target: text().notNull(),
  state: text().notNull().default('copying'),
  paused: boolean().notNull().default(false),
  cancel: boolean().notNull().default(false),
  lease: bigint({ mode: 'number' }).notNull().default(0),
  leasedUntil: timestamp('leased_until', { withTimezone: true }).notNull().defaultNow(),
  syncedBefore: text('synced_before'),
  rowsCopied: bigint('rows_copied', { mode: 'number' }).notNull().default(0),
  rounds: integer().notNull().default(0),
  fenceMs: integer('fence_ms'),
  error: text(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull().defaultNow(),
  updatedAt: timestamp('updated_at', { withTimezone: true }).notNull().defaultNow(),
  rowsExpected: bigint('rows_expected', { mode: 'number' }),
})

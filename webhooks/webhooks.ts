import { AppError, listTooLong } from '../core/errors.ts'
import { type Clock, systemClock } from '../core/clock.ts'

import { type CompanyId } from '../core/ids.ts'
import { uuidv7 } from '../core/uuid.ts'
import type { ShardSql, ShardTx } from '../store/store.ts'
import { parseWebhookUrl } from './address-guard.ts'
import { newWebhookSecret } from './signing.ts'
import type { SecretWrapper } from './wrapping.ts'

export interface Webhook {
  readonly id: string
  readonly companyId: CompanyId
  readonly url: string
  /** Empty: every kind. */
  readonly kinds: readonly string[]
  readonly enabled: boolean
  readonly disabledReason: string | null
  /** RFC 3339 with milliseconds. */
  readonly createdAt: string
}

export interface WebhooksOptions {
  readonly wrapper: SecretWrapper
  /** Development only: http, and addresses of our own network. */
  readonly allowPrivate: boolean
  readonly clock?: Clock
}

/** Bounds what one change of a company can set off. */
const maxPerCompany = 20
const maxKinds = 50
const kindPattern = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$/
/** How long an old secret still signs. */
const rotationMs = 86_400_000

/** Commands within the caller's transaction, which appends the record about it (never with the secret). */
export interface Webhooks {
  /** The secret is shown here and never again. @throws AppError BAD_USER_INPUT, LIST_TOO_LONG (too many webhooks or kinds) */
  create(
    tx: ShardTx,
    input: { companyId: CompanyId; url: string; kinds?: readonly string[] | null },
  ): Promise<{ webhook: Webhook; secret: string }>
  /** A new secret; the old one signs beside it for a day. @throws AppError NOT_FOUND */
  rotateSecret(tx: ShardTx, companyId: CompanyId, webhookId: string): Promise<{ webhook: Webhook; secret: string }>
  /** `reason` where it was not the owner; `was`: whether it was enabled before. @throws AppError NOT_FOUND */
  setEnabled(
    tx: ShardTx,
    companyId: CompanyId,
    webhookId: string,
    enabled: boolean,
    reason?: string,
  ): Promise<{ webhook: Webhook; was: boolean }>
  /** With its delivery log. @throws AppError NOT_FOUND */
  remove(tx: ShardTx, companyId: CompanyId, webhookId: string): Promise<void>
  /** What a delivery needs; undefined where the webhook is gone. Secrets: the current first. */
  open(
    sql: ShardSql,
    companyId: CompanyId,
    webhookId: string,
  ): Promise<{ webhook: Webhook; secrets: readonly string[] } | undefined>
}

interface Row {
  webhook_id: string
  company_id: CompanyId
  url: string
  kinds: string[]
  enabled: boolean
  disabled_reason: string | null
  created_at: string
}

/** Oldest first within a company. One statement whatever the number of companies; index: webhooks_pkey. */
export async function readWebhooks(
  sql: ShardSql,
  companyIds: readonly CompanyId[],
): Promise<ReadonlyMap<CompanyId, readonly Webhook[]>> {
  const rows = await sql<Row[]>`
    select ${columns(sql)} from webhooks
    where company_id = any(${[...companyIds]}) order by company_id, webhook_id`
  return Map.groupBy(rows.map(webhookOf), (webhook) => webhook.companyId)
}

export function createWebhooks({ wrapper, allowPrivate, clock = systemClock }: WebhooksOptions): Webhooks {
  return {
    async create(tx, { companyId, url, kinds }) {
      const parsed = parseWebhookUrl(url, { allowPrivate })
      const wanted = parseKinds(kinds ?? [])
      const rows = await commandRows()
      // Counted under the company's other inserts: the limit is a bound on work, not an exact promise.
      if ((await rows.countWebhooks(tx, companyId)) >= maxPerCompany)
        throw listTooLong(`A company has at most ${maxPerCompany} webhooks.`, maxPerCompany)
      const webhookId = uuidv7(clock.now())
      const secret = newWebhookSecret()
      const webhook = await rows.insertWebhook(tx, {
        companyId,
        webhookId,
        url: parsed.href,
        kinds: wanted,
        secret: wrapper.wrap(secret, context(companyId, webhookId)),
        createdAt: new Date(clock.now()),
      })
      return { webhook: required(webhook), secret }
    },
    async rotateSecret(tx, companyId, webhookId) {
      const secret = newWebhookSecret()
      const webhook = await (
        await commandRows()
      ).replaceSecret(tx, companyId, webhookId, {
        secret: wrapper.wrap(secret, context(companyId, webhookId)),
        previousUntil: new Date(clock.now() + rotationMs),
      })
      return { webhook: required(webhook), secret }
    },
    async setEnabled(tx, companyId, webhookId, enabled, reason) {
      const [row] = await tx<(Row & { was: boolean })[]>`
        update webhooks w set enabled = ${enabled},
          disabled_reason = case when ${enabled} then null when old.was then ${reason ?? null} else disabled_reason end
        from (
          select webhook_id, enabled as was from webhooks
          where company_id = ${companyId} and webhook_id = ${webhookId} for update
        ) old
        where w.company_id = ${companyId} and w.webhook_id = old.webhook_id
        returning old.was, ${columns(tx, 'w.')}`
      if (row === undefined) throw notFound()
      return { webhook: webhookOf(row), was: row.was }
    },
    async remove(tx, companyId, webhookId) {
      if (!(await (await commandRows()).deleteWebhook(tx, companyId, webhookId))) throw notFound()
    },
    async open(sql, companyId, webhookId) {
      const [row] = await sql<(Row & { secret: Buffer; previous_secret: Buffer | null })[]>`
        select ${columns(sql)}, secret,
          case when previous_until > clock_timestamp() then previous_secret end as previous_secret
        from webhooks where company_id = ${companyId} and webhook_id = ${webhookId}`
      if (row === undefined) return undefined
      const wrapped = row.previous_secret === null ? [row.secret] : [row.secret, row.previous_secret]
      return {
        webhook: webhookOf(row),
        secrets: wrapped.map((secret) => wrapper.unwrap(secret, context(companyId, webhookId))),
      }
    },
  }
}

function columns(sql: ShardSql | ShardTx, from = ''): ReturnType<ShardSql['unsafe']> {
  return sql.unsafe(
    `${from}webhook_id, ${from}company_id, ${from}url, ${from}kinds, ${from}enabled, ${from}disabled_reason,
     to_char(${from}created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at`,
  )
}

function webhookOf(row: Row): Webhook {
  return {
    id: row.webhook_id,
    companyId: row.company_id,
    url: row.url,
    kinds: row.kinds,
    enabled: row.enabled,
    disabledReason: row.disabled_reason,
    createdAt: row.created_at,
  }
}

function required(webhook: Webhook | undefined): Webhook {
  if (webhook === undefined) throw notFound()
  return webhook
}

/** Commands are rare, and what they are written with is large: it is loaded at the first one. */
const commandRows = () => import('./webhook-rows.ts')

function parseKinds(kinds: readonly string[]): string[] {
  if (kinds.length > maxKinds) throw listTooLong(`A webhook filters by at most ${maxKinds} kinds.`, maxKinds)
  const wrong = kinds.find((kind) => !kindPattern.test(kind))
  if (wrong !== undefined) {
    throw new AppError(
      'BAD_USER_INPUT',
      'A kind is 1 to 100 of A-Z, a-z, 0-9 and ._:/-, beginning with a letter or digit.',
      {
        details: { field: 'kinds' },
      },
    )
  }
  return [...new Set(kinds)]
}

/** What a wrapped secret is bound to. */
const context = (companyId: CompanyId, webhookId: string): string => `webhook ${companyId} ${webhookId}`

const notFound = (): AppError => new AppError('NOT_FOUND', 'There is no such webhook.')

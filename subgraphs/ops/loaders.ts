import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { createShardLoader } from '../../loaders/keyed.ts'
import type { LoaderFactory } from '../../loaders/registry.ts'
import { type DeliveryAttempt, readDeliveries } from '../../webhooks/delivery-log.ts'
import { readWebhooks, type Webhook } from '../../webhooks/webhooks.ts'

export const webhooksOf: LoaderFactory<CompanyId, readonly Webhook[]> = (context) =>
  createShardLoader<CompanyId, readonly Webhook[]>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: readWebhooks,
    missing: [],
  })

export interface WantedDeliveries {
  readonly companyId: CompanyId
  readonly webhookId: string
  readonly first: number
}

const deliveriesText = ({ webhookId, first }: WantedDeliveries): string => `${webhookId} ${first}`

export const webhookDeliveries: LoaderFactory<WantedDeliveries, readonly DeliveryAttempt[]> = (context) =>
  createShardLoader<WantedDeliveries, readonly DeliveryAttempt[]>(context, {
    companyOf: ({ companyId }) => companyId,
    textOf: deliveriesText,
    load: async (sql, wanted) => {
      const byWebhook = Map.groupBy(await readDeliveries(sql, wanted), ({ webhookId }) => webhookId)
      return new Map(
        wanted.map((one) => [deliveriesText(one), (byWebhook.get(one.webhookId) ?? []).slice(0, one.first)]),
      )
    },
    missing: [],
  })

/** A webhook's id to clients names its company, as every id does that has to be found. */
export const webhookId = ({ companyId, id }: Webhook): string => `${companyId}:${id}`

/** @throws AppError INVALID_ID */
export function parseWebhookId(value: string): { companyId: CompanyId; id: string } {
  const colon = value.indexOf(':')
  const id = value.slice(colon + 1)
  if (colon < 1 || !/^[0-9a-f-]{36}$/.test(id)) {
    throw new AppError('INVALID_ID', 'A webhook id is "<companyId>:<webhook>".')
  }
  return { companyId: parseCompanyId(value.slice(0, colon)), id }
}

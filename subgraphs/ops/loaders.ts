import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { createShardLoader } from '../../loaders/keyed.ts'
import type { LoaderFactory } from '../../loaders/registry.ts'
import { readWebhooks, type Webhook } from '../../webhooks/webhooks.ts'

export const webhooksOf: LoaderFactory<CompanyId, readonly Webhook[]> = (context) =>
  createShardLoader<CompanyId, readonly Webhook[]>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: readWebhooks,
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

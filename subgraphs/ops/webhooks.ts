import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { pageSize } from '../../core/page-size.ts'
import type { JsonObject, Ledger, NewRecord } from '../../ledger/ledger.ts'
import { ownSource } from '../../ledger/own-records.ts'
import type { Objects, Resolvers } from '../../schema/generated/ops.ts'
import { lockCompany } from '../../network/lock-company.ts'
import type { ShardTx } from '../../store/store.ts'
import type { DeliveryAttempt } from '../../webhooks/delivery-log.ts'
import type { Webhook, Webhooks } from '../../webhooks/webhooks.ts'
import type { SubgraphContext } from '../context.ts'
import { parseWebhookId, webhookDeliveries, webhookId, webhooksOf } from './loaders.ts'

interface WebhookObjects extends Objects {
  CreateWebhookPayload: { webhook: Webhook; secret: string }
  Webhook: Webhook
  WebhookDelivery: DeliveryAttempt
}
type WebhookResolvers = Resolvers<SubgraphContext, WebhookObjects>

/** What a company does with its webhooks. Each change is a record of its ledger, never with the secret. */
export function createWebhookResolvers({ ledger, webhooks }: { ledger: Ledger; webhooks: Webhooks }): {
  readonly Webhook: WebhookResolvers['Webhook']
  mutation: Pick<
    WebhookResolvers['Mutation'],
    'createWebhook' | 'setWebhookEnabled' | 'rotateWebhookSecret' | 'deleteWebhook'
  >
} {
  async function change<T>(
    context: SubgraphContext,
    companyId: CompanyId,
    fn: (tx: ShardTx) => Promise<{ value: T; record?: { kind: string; webhook: string; data?: JsonObject } }>,
  ): Promise<T> {
    authorize(context.principal, 'webhook.write', companyId)
    const { value, position } = await ledger.change(
      companyId,
      async (tx) => {
        const { value, record } = await fn(tx)
        const records: NewRecord[] =
          record === undefined
            ? []
            : [
                {
                  kind: record.kind,
                  source: ownSource,
                  stream: `webhook/${record.webhook}`,
                  data: { webhook: record.webhook, ...record.data },
                  actor: context.actor,
                },
              ]
        return { value, records }
      },
      context.scope,
    )
    context.wrote(position)
    return value
  }

  return {
    mutation: {
      createWebhook: (_, { input }, context) => {
        const companyId = parseCompanyId(input.companyId)
        if (input.kinds?.length === 0) {
          throw new AppError('BAD_USER_INPUT', '"kinds" is empty: leave it out to be told of all.')
        }
        return change(context, companyId, async (tx) => {
          await lockCompany(tx, companyId)
          const made = await webhooks.create(tx, { companyId, url: input.url, kinds: input.kinds ?? [] })
          const { id, url, kinds } = made.webhook
          return { value: made, record: { kind: 'webhook.created', webhook: id, data: { url, kinds: [...kinds] } } }
        })
      },
      setWebhookEnabled: (_, { id: given, enabled }, context) => {
        const { companyId, id } = parseWebhookId(given)
        return change(context, companyId, async (tx) => {
          const changed = await webhooks.setEnabled(tx, companyId, id, enabled)
          const { webhook, was } = changed
          if (was === enabled) return { value: webhook }
          return { value: webhook, record: { kind: enabled ? 'webhook.enabled' : 'webhook.disabled', webhook: id } }
        })
      },
      rotateWebhookSecret: (_, { id: given }, context) => {
        const { companyId, id } = parseWebhookId(given)
        return change(context, companyId, async (tx) => ({
          value: await webhooks.rotateSecret(tx, companyId, id),
          record: { kind: 'webhook.rotated', webhook: id },
        }))
      },
      deleteWebhook: (_, { id: given }, context) => {
        const { companyId, id } = parseWebhookId(given)
        return change(context, companyId, async (tx) => {
          await webhooks.remove(tx, companyId, id)
          return { value: true, record: { kind: 'webhook.deleted', webhook: id } }
        })
      },
    },
    Webhook: {
      __resolveReference: async (reference, { principal, loaders }) => {
        const { companyId, id } = parseWebhookId(String(reference['id']))
        authorize(principal, 'webhook.read', companyId)
        return (await loaders.get(webhooksOf).load(companyId)).find((webhook) => webhook.id === id) ?? null
      },
      id: webhookId,
      deliveries: ({ companyId, id }, { first }, { loaders }) =>
        loaders.get(webhookDeliveries).load({ companyId, webhookId: id, first: pageSize(first) }),
    },
  }
}

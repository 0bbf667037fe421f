import { pageSize } from '../../core/page-size.ts'
import type { KeyInfo, KeyRing } from '../../access/keys.ts'
import { type Action, authorize, can } from '../../access/rights.ts'
import type { Tickets } from '../../access/tickets.ts'

import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import { isSubmittable, unknownJob } from '../../jobs/definitions.ts'
import type { JobFollower } from '../../jobs/follow-job.ts'
import type { Job } from '../../jobs/job.ts'
import type { Jobs, QueueCounts } from '../../jobs/jobs.ts'
import type { QueueClass as JobClass } from '../../jobs/queues.ts'
import { type ConsumerLag, type FeedLag, feedLags } from '../../ledger/feed-lag.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import type { JobState, Objects, QueueClass, Resolvers } from '../../schema/generated/ops.ts'
import type { PoolStats } from '../../store/pool/pool.ts'
import type { Move } from '../../store/move/move-row.ts'
import type { Rebalance } from '../../store/move/rebalance.ts'
import type { Store } from '../../store/store.ts'
import type { Webhook, Webhooks } from '../../webhooks/webhooks.ts'
import type { SubgraphContext } from '../context.ts'
import { createApiKeys } from './api-keys.ts'
import { createDeadLetterMutations } from './dead-letters.ts'
import { createWebhookResolvers } from './webhooks.ts'
import type { DeliveryAttempt } from '../../webhooks/delivery-log.ts'
import { createMoveResolvers, type ShardOperations } from './moves.ts'
import { webhooksOf } from './loaders.ts'
import { type ReplicaHealth, readShards, type ShardHealth } from './shards.ts'

interface OpsObjects extends Objects {
  ApiKey: KeyInfo
  Company: { id: CompanyId }
  CreateApiKeyPayload: { apiKey: KeyInfo; key: string }
  CreateWebhookPayload: { webhook: Webhook; secret: string }
  Feed: FeedLag & { shard: string }
  FeedConsumer: ConsumerLag
  Job: Job
  Move: Move
  Queue: QueueCounts
  Rebalance: Rebalance
  Pool: PoolStats
  Replica: ReplicaHealth
  Shard: ShardHealth
  StreamTicket: { ticket: string; expiresAt: string }
  Webhook: Webhook
  WebhookDelivery: DeliveryAttempt
}

export function createOpsResolvers(deps: {
  store: Store
  ledger: Ledger
  jobs: Jobs
  jobFollower: JobFollower
  webhooks: Webhooks
  tickets: Tickets
  keys: Pick<KeyRing, 'create' | 'revoke' | 'list' | 'find'>
  shards: ShardOperations
  logger: Logger
}): Resolvers<SubgraphContext, OpsObjects> {
  const { store, ledger, jobs, jobFollower, webhooks, tickets } = deps
  const apiKeys = createApiKeys({ keys: deps.keys, store })
  const hooks = createWebhookResolvers({ ledger, webhooks })
  const moving = createMoveResolvers({ store, jobs, logger: deps.logger, ...deps.shards })

  function submit(
    { principal, actor }: SubgraphContext,
    company: string,
    name: string,
    args: unknown,
    queue?: QueueClass,
  ): Promise<Job> {
    const companyId = parseCompanyId(company)
    authorize(principal, 'job.submit', companyId)
    if (!isSubmittable(name)) throw unknownJob(name)
    for (const right of rightsToSubmit(name, args)) authorize(principal, right, companyId)
    return jobs.submit({
      name,
      companyId,
      submittedBy: actor,
      arguments: args,
      ...(queue === undefined ? {} : { queue: jobClass(queue) }),
    })
  }

  return {
    Query: {
      shards: (_, _args, { principal, scope }) => {
        authorize(principal, 'ops.read')
        return readShards(store, scope)
      },
      queues: (_, _args, { principal }) => {
        authorize(principal, 'ops.read')
        return jobs.counts()
      },
      feeds: (_, _args, { principal, scope }) => {
        authorize(principal, 'ops.read')
        return feedLags(store, scope)
      },
      jobs: (_, { first, queue, state }, { principal }) => {
        authorize(principal, 'job.read')
        return jobs.list({
          first: pageSize(first),
          ...(queue == null ? {} : { queue: jobClass(queue) }),
          ...(state == null ? {} : { state: state.toLowerCase() as Lowercase<JobState> }),
          ...(principal.kind === 'company' ? { companyId: principal.companyId } : {}),
        })
      },
      job: async (_, { id }, { principal }) => {
        authorize(principal, 'job.read')
        const job = await jobs.get(id)
        // Whether a job of this id exists is for its company and administrators to know.
        const isTheirs =
          principal.kind === 'admin' || (job?.companyId != null && can(principal, 'job.read', job.companyId))
        return isTheirs ? job : null
      },
      apiKeys: (_, { companyId, first }, { principal }) => apiKeys.list(principal, companyId, first),
      ...moving.query,
    },
    Mutation: {
      submitJob: (_, { input: { name, companyId, queue, arguments: args } }, context) =>
        submit(context, companyId, name, args ?? {}, queue ?? undefined),
      verifyLedger: (_, { companyId, from, to }, context) =>
        submit(context, companyId, 'verifyLedger', {
          ...(from == null ? {} : { from }),
          ...(to == null ? {} : { to }),
        }),
      exportLedger: (_, { companyId, private: withPrivate }, context) =>
        submit(context, companyId, 'exportLedger', { private: withPrivate }),
      ...hooks.mutation,
      ...createDeadLetterMutations(jobs),
      createStreamTicket: async (_, _args, { principal }) => {
        const { ticket, expiresAt } = await tickets.issue(principal)
        return { ticket, expiresAt: expiresAt.toISOString() }
      },
      createApiKey: (_, { input }, { principal, actor, scope }) => apiKeys.create(principal, input, actor, scope),
      revokeApiKey: (_, { id }, { principal }) => apiKeys.revoke(principal, id),
      ...moving.mutation,
    },
    Subscription: {
      jobChanged: {
        subscribe: async (_, { id }, { principal, request }) => {
          authorize(principal, 'job.read')
          const own = principal.kind === 'company' ? { companyId: principal.companyId } : {}
          return jobFollower.follow(id, { ...own, signal: request.signal })
        },
        resolve: (job) => job,
      },
    },
    ApiKey: {
      id: ({ keyId }) => keyId,
      companyId: ({ companyId }) => companyId ?? null,
      createdAt: ({ createdAt }) => createdAt.toISOString(),
      revokedAt: ({ revokedAt }) => revokedAt?.toISOString() ?? null,
    },
    FeedConsumer: {
      name: ({ consumer }) => consumer,
      behindMs: ({ behindMs }) => Math.round(behindMs),
    },
    Job: {
      queue: ({ queue }) => queue.toUpperCase() as QueueClass,
      state: ({ state }) => state.toUpperCase() as JobState,
      company: ({ companyId }) => (companyId === null ? null : { id: companyId }),
    },
    Move: moving.Move,
    Rebalance: moving.Rebalance,
    Queue: {
      class: ({ class: name }) => name.toUpperCase() as QueueClass,
    },
    Company: {
      __resolveReference: async ({ id }) => ({ id: parseCompanyId(String(id)) }),
      shard: ({ id }, _args, { principal }) => {
        authorize(principal, 'ops.read')
        return store.shardOf(id)
      },
      webhooks: ({ id }, _args, { principal, loaders }) => {
        authorize(principal, 'webhook.read', id)
        return loaders.get(webhooksOf).load(id)
      },
    },
    Webhook: hooks.Webhook,
  }
}

/** A job does nothing for a key that the key may not do itself. */
function rightsToSubmit(name: string, args: unknown): Action[] {
  const withPrivate = typeof args === 'object' && args !== null && 'private' in args && args.private !== false
  return name === 'exportLedger' && withPrivate ? ['ledger.read', 'private.read'] : ['ledger.read']
}

const jobClass = (queue: QueueClass): JobClass => queue.toLowerCase() as Lowercase<QueueClass>

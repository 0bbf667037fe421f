// Written by `npm run schema`; not edited by hand.

import type { GraphQLResolveInfo } from 'graphql'

type Resolver<Parent, Args, Context, Result> = (
  parent: Parent,
  args: Args,
  context: Context,
  info: GraphQLResolveInfo,
) => Result | Promise<Result>

/** Optional is what need not be given; all else is required. */
type Needed<All> = { [K in keyof All as object extends All[K] ? never : K]: All[K] } & {
  [K in keyof All as object extends All[K] ? K : never]?: All[K]
}

/** Of the fields, those that the object holds under their names, as the schema has them, need no resolver. */
type Fields<Parent, Held, All> = {
  [K in keyof All as K extends keyof Held ? (Parent extends Readonly<Pick<Held, K>> ? never : K) : K]: All[K]
} & { [K in keyof All as K extends keyof Held ? (Parent extends Readonly<Pick<Held, K>> ? K : never) : never]?: All[K] }

export interface CreateApiKeyInput {
  companyId?: string | null | undefined
  label: string
  scopes?: readonly string[] | null | undefined
}

export interface CreateWebhookInput {
  companyId: string
  url: string
  kinds?: readonly string[] | null | undefined
}

export type JobState = 'WAITING' | 'DELAYED' | 'ACTIVE' | 'COMPLETED' | 'FAILED'

export type MoveState = 'COPYING' | 'FENCED' | 'FLIPPED' | 'DONE' | 'FAILED' | 'CANCELLED'

export type QueueClass = 'CRITICAL' | 'HIGH' | 'NORMAL' | 'LOW'

export type RebalanceState = 'RUNNING' | 'DONE' | 'FAILED' | 'CANCELLED'

export interface SubmitJobInput {
  name: string
  companyId: string
  queue?: QueueClass | null | undefined
  arguments?: unknown | null | undefined
}

export interface MutationSubmitJobArgs {
  input: SubmitJobInput
}

export interface MutationVerifyLedgerArgs {
  companyId: string
  from?: number | null | undefined
  to?: number | null | undefined
}

export interface MutationExportLedgerArgs {
  companyId: string
  private: boolean
}

export interface MutationCreateWebhookArgs {
  input: CreateWebhookInput
}

export interface MutationSetWebhookEnabledArgs {
  id: string
  enabled: boolean
}

export interface MutationRotateWebhookSecretArgs {
  id: string
}

export interface MutationDeleteWebhookArgs {
  id: string
}

export interface MutationRedriveJobArgs {
  id: string
}

export interface MutationDiscardJobArgs {
  id: string
}

export interface MutationRedriveJobsArgs {
  queue: QueueClass
  limit: number | null
}

export interface MutationCreateApiKeyArgs {
  input: CreateApiKeyInput
}

export interface MutationRevokeApiKeyArgs {
  id: string
}

export interface MutationAddShardArgs {
  name: string
}

export interface MutationMoveCompanyArgs {
  companyId: string
  to: string
}

export interface MutationPauseMovesArgs {
  move?: string | null | undefined
}

export interface MutationResumeMovesArgs {
  move?: string | null | undefined
}

export interface MutationCancelMoveArgs {
  id: string
}

export interface MutationCancelRebalanceArgs {
  id: string
}

export interface MutationPromoteReplicaArgs {
  shard: string
  replica?: string | null | undefined
  acceptLoss: boolean | null
}

export interface QueryMovesArgs {
  first: number | null
  companyId?: string | null | undefined
  shard?: string | null | undefined
  before?: string | null | undefined
}

export interface QueryRebalancesArgs {
  first: number | null
}

export interface QueryJobsArgs {
  first: number | null
  queue?: QueueClass | null | undefined
  state?: JobState | null | undefined
}

export interface QueryJobArgs {
  id: string
}

export interface QueryApiKeysArgs {
  companyId?: string | null | undefined
  first: number | null
}

export interface SubscriptionJobChangedArgs {
  id: string
}

export interface WebhookDeliveriesArgs {
  first: number | null
}

export interface Objects {
  ApiKey: unknown
  Company: unknown
  CreateApiKeyPayload: unknown
  CreateWebhookPayload: unknown
  Feed: unknown
  FeedConsumer: unknown
  Job: unknown
  Move: unknown
  Pool: unknown
  Queue: unknown
  Rebalance: unknown
  Replica: unknown
  Shard: unknown
  StreamTicket: unknown
  Webhook: unknown
  WebhookDelivery: unknown
}

export type Resolvers<Context, O extends Objects> = Needed<{
  ApiKey: Fields<O['ApiKey'], {
    id: string
    companyId: string | null
    scopes: readonly string[]
    label: string
    createdAt: string
    createdBy: string
    revokedAt: string | null
  }, {
    id: Resolver<O['ApiKey'], Record<string, never>, Context, string>
    companyId: Resolver<O['ApiKey'], Record<string, never>, Context, string | null>
    scopes: Resolver<O['ApiKey'], Record<string, never>, Context, readonly string[]>
    label: Resolver<O['ApiKey'], Record<string, never>, Context, string>
    createdAt: Resolver<O['ApiKey'], Record<string, never>, Context, string>
    createdBy: Resolver<O['ApiKey'], Record<string, never>, Context, string>
    revokedAt: Resolver<O['ApiKey'], Record<string, never>, Context, string | null>
  }>
  Company: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['Company'] | null> } & Fields<O['Company'], {
    id: string
    shard: string | null
    webhooks: readonly O['Webhook'][] | null
  }, {
    id: Resolver<O['Company'], Record<string, never>, Context, string>
    shard: Resolver<O['Company'], Record<string, never>, Context, string | null>
    webhooks: Resolver<O['Company'], Record<string, never>, Context, readonly O['Webhook'][] | null>
  }>
  CreateApiKeyPayload: Fields<O['CreateApiKeyPayload'], {
    apiKey: O['ApiKey']
    key: string
  }, {
    apiKey: Resolver<O['CreateApiKeyPayload'], Record<string, never>, Context, O['ApiKey']>
    key: Resolver<O['CreateApiKeyPayload'], Record<string, never>, Context, string>
  }>
  CreateWebhookPayload: Fields<O['CreateWebhookPayload'], {
    webhook: O['Webhook']
    secret: string
  }, {
    webhook: Resolver<O['CreateWebhookPayload'], Record<string, never>, Context, O['Webhook']>
    secret: Resolver<O['CreateWebhookPayload'], Record<string, never>, Context, string>
  }>
  Feed: Fields<O['Feed'], {
    shard: string
    head: number
    kept: number
    waiting: number
    consumers: readonly O['FeedConsumer'][]
  }, {
    shard: Resolver<O['Feed'], Record<string, never>, Context, string>
    head: Resolver<O['Feed'], Record<string, never>, Context, number>
    kept: Resolver<O['Feed'], Record<string, never>, Context, number>
    waiting: Resolver<O['Feed'], Record<string, never>, Context, number>
    consumers: Resolver<O['Feed'], Record<string, never>, Context, readonly O['FeedConsumer'][]>
  }>
  FeedConsumer: Fields<O['FeedConsumer'], {
    name: string
    behind: number
    behindMs: number
    failures: number
    lastError: string | null
  }, {
    name: Resolver<O['FeedConsumer'], Record<string, never>, Context, string>
    behind: Resolver<O['FeedConsumer'], Record<string, never>, Context, number>
    behindMs: Resolver<O['FeedConsumer'], Record<string, never>, Context, number>
    failures: Resolver<O['FeedConsumer'], Record<string, never>, Context, number>
    lastError: Resolver<O['FeedConsumer'], Record<string, never>, Context, string | null>
  }>
  Job: Fields<O['Job'], {
    id: string
    name: string
    queue: QueueClass
    state: JobState
    company: O['Company'] | null
    progress: number
    result: unknown | null
    error: string | null
    attempts: number
    createdAt: string
    finishedAt: string | null
  }, {
    id: Resolver<O['Job'], Record<string, never>, Context, string>
    name: Resolver<O['Job'], Record<string, never>, Context, string>
    queue: Resolver<O['Job'], Record<string, never>, Context, QueueClass>
    state: Resolver<O['Job'], Record<string, never>, Context, JobState>
    company: Resolver<O['Job'], Record<string, never>, Context, O['Company'] | null>
    progress: Resolver<O['Job'], Record<string, never>, Context, number>
    result: Resolver<O['Job'], Record<string, never>, Context, unknown | null>
    error: Resolver<O['Job'], Record<string, never>, Context, string | null>
    attempts: Resolver<O['Job'], Record<string, never>, Context, number>
    createdAt: Resolver<O['Job'], Record<string, never>, Context, string>
    finishedAt: Resolver<O['Job'], Record<string, never>, Context, string | null>
  }>
  Move: Fields<O['Move'], {
    id: string
    company: O['Company']
    from: string
    to: string
    state: MoveState
    paused: boolean
    progress: number
    rowsCopied: number
    writesHeldBackMs: number | null
    error: string | null
    job: O['Job'] | null
  }, {
    id: Resolver<O['Move'], Record<string, never>, Context, string>
    company: Resolver<O['Move'], Record<string, never>, Context, O['Company']>
    from: Resolver<O['Move'], Record<string, never>, Context, string>
    to: Resolver<O['Move'], Record<string, never>, Context, string>
    state: Resolver<O['Move'], Record<string, never>, Context, MoveState>
    paused: Resolver<O['Move'], Record<string, never>, Context, boolean>
    progress: Resolver<O['Move'], Record<string, never>, Context, number>
    rowsCopied: Resolver<O['Move'], Record<string, never>, Context, number>
    writesHeldBackMs: Resolver<O['Move'], Record<string, never>, Context, number | null>
    error: Resolver<O['Move'], Record<string, never>, Context, string | null>
    job: Resolver<O['Move'], Record<string, never>, Context, O['Job'] | null>
  }>
  Mutation: {
    submitJob: Resolver<unknown, MutationSubmitJobArgs, Context, O['Job']>
    verifyLedger: Resolver<unknown, MutationVerifyLedgerArgs, Context, O['Job']>
    exportLedger: Resolver<unknown, MutationExportLedgerArgs, Context, O['Job']>
    createWebhook: Resolver<unknown, MutationCreateWebhookArgs, Context, O['CreateWebhookPayload']>
    setWebhookEnabled: Resolver<unknown, MutationSetWebhookEnabledArgs, Context, O['Webhook']>
    rotateWebhookSecret: Resolver<unknown, MutationRotateWebhookSecretArgs, Context, O['CreateWebhookPayload']>
    deleteWebhook: Resolver<unknown, MutationDeleteWebhookArgs, Context, boolean>
    redriveJob: Resolver<unknown, MutationRedriveJobArgs, Context, O['Job']>
    discardJob: Resolver<unknown, MutationDiscardJobArgs, Context, boolean>
    redriveJobs: Resolver<unknown, MutationRedriveJobsArgs, Context, number>
    createStreamTicket: Resolver<unknown, Record<string, never>, Context, O['StreamTicket']>
    createApiKey: Resolver<unknown, MutationCreateApiKeyArgs, Context, O['CreateApiKeyPayload']>
    revokeApiKey: Resolver<unknown, MutationRevokeApiKeyArgs, Context, boolean>
    addShard: Resolver<unknown, MutationAddShardArgs, Context, O['Shard']>
    moveCompany: Resolver<unknown, MutationMoveCompanyArgs, Context, O['Move']>
    rebalanceShards: Resolver<unknown, Record<string, never>, Context, O['Rebalance']>
    pauseMoves: Resolver<unknown, MutationPauseMovesArgs, Context, readonly O['Move'][]>
    resumeMoves: Resolver<unknown, MutationResumeMovesArgs, Context, readonly O['Move'][]>
    cancelMove: Resolver<unknown, MutationCancelMoveArgs, Context, O['Move']>
    cancelRebalance: Resolver<unknown, MutationCancelRebalanceArgs, Context, O['Rebalance']>
    promoteReplica: Resolver<unknown, MutationPromoteReplicaArgs, Context, O['Job']>
  }
  Pool: Fields<O['Pool'], {
    max: number
    open: number
    inUse: number
    waiting: number
    acquired: number
    waitMs: number
    refused: number
  }, {
    max: Resolver<O['Pool'], Record<string, never>, Context, number>
    open: Resolver<O['Pool'], Record<string, never>, Context, number>
    inUse: Resolver<O['Pool'], Record<string, never>, Context, number>
    waiting: Resolver<O['Pool'], Record<string, never>, Context, number>
    acquired: Resolver<O['Pool'], Record<string, never>, Context, number>
    waitMs: Resolver<O['Pool'], Record<string, never>, Context, number>
    refused: Resolver<O['Pool'], Record<string, never>, Context, number>
  }>
  Query: {
    shards: Resolver<unknown, Record<string, never>, Context, readonly O['Shard'][]>
    moves: Resolver<unknown, QueryMovesArgs, Context, readonly O['Move'][]>
    rebalances: Resolver<unknown, QueryRebalancesArgs, Context, readonly O['Rebalance'][]>
    queues: Resolver<unknown, Record<string, never>, Context, readonly O['Queue'][]>
    feeds: Resolver<unknown, Record<string, never>, Context, readonly O['Feed'][]>
    jobs: Resolver<unknown, QueryJobsArgs, Context, readonly O['Job'][]>
    job: Resolver<unknown, QueryJobArgs, Context, O['Job'] | null>
    apiKeys: Resolver<unknown, QueryApiKeysArgs, Context, readonly O['ApiKey'][]>
  }
  Queue: Fields<O['Queue'], {
    class: QueueClass
    waiting: number
    active: number
    delayed: number
    completed: number
    failed: number
  }, {
    class: Resolver<O['Queue'], Record<string, never>, Context, QueueClass>
    waiting: Resolver<O['Queue'], Record<string, never>, Context, number>
    active: Resolver<O['Queue'], Record<string, never>, Context, number>
    delayed: Resolver<O['Queue'], Record<string, never>, Context, number>
    completed: Resolver<O['Queue'], Record<string, never>, Context, number>
    failed: Resolver<O['Queue'], Record<string, never>, Context, number>
  }>
  Rebalance: Fields<O['Rebalance'], {
    id: string
    state: RebalanceState
    paused: boolean
    buckets: number
    bucketsLeft: number
    companiesMoved: number
    error: string | null
    job: O['Job'] | null
  }, {
    id: Resolver<O['Rebalance'], Record<string, never>, Context, string>
    state: Resolver<O['Rebalance'], Record<string, never>, Context, RebalanceState>
    paused: Resolver<O['Rebalance'], Record<string, never>, Context, boolean>
    buckets: Resolver<O['Rebalance'], Record<string, never>, Context, number>
    bucketsLeft: Resolver<O['Rebalance'], Record<string, never>, Context, number>
    companiesMoved: Resolver<O['Rebalance'], Record<string, never>, Context, number>
    error: Resolver<O['Rebalance'], Record<string, never>, Context, string | null>
    job: Resolver<O['Rebalance'], Record<string, never>, Context, O['Job'] | null>
  }>
  Replica: Fields<O['Replica'], {
    name: string
    healthy: boolean
    lagMs: number | null
    pool: O['Pool']
  }, {
    name: Resolver<O['Replica'], Record<string, never>, Context, string>
    healthy: Resolver<O['Replica'], Record<string, never>, Context, boolean>
    lagMs: Resolver<O['Replica'], Record<string, never>, Context, number | null>
    pool: Resolver<O['Replica'], Record<string, never>, Context, O['Pool']>
  }>
  Shard: Fields<O['Shard'], {
    name: string
    region: string
    healthy: boolean
    buckets: number
    overrides: number
    pool: O['Pool']
    replicas: readonly O['Replica'][]
  }, {
    name: Resolver<O['Shard'], Record<string, never>, Context, string>
    region: Resolver<O['Shard'], Record<string, never>, Context, string>
    healthy: Resolver<O['Shard'], Record<string, never>, Context, boolean>
    buckets: Resolver<O['Shard'], Record<string, never>, Context, number>
    overrides: Resolver<O['Shard'], Record<string, never>, Context, number>
    pool: Resolver<O['Shard'], Record<string, never>, Context, O['Pool']>
    replicas: Resolver<O['Shard'], Record<string, never>, Context, readonly O['Replica'][]>
  }>
  StreamTicket: Fields<O['StreamTicket'], {
    ticket: string
    expiresAt: string
  }, {
    ticket: Resolver<O['StreamTicket'], Record<string, never>, Context, string>
    expiresAt: Resolver<O['StreamTicket'], Record<string, never>, Context, string>
  }>
  Subscription: {
    jobChanged: { subscribe: Resolver<unknown, SubscriptionJobChangedArgs, Context, AsyncIterable<O['Job']>>; resolve: (event: O['Job']) => O['Job'] }
  }
  Webhook: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['Webhook'] | null> } & Fields<O['Webhook'], {
    id: string
    url: string
    kinds: readonly string[]
    enabled: boolean
    disabledReason: string | null
    createdAt: string
  }, {
    id: Resolver<O['Webhook'], Record<string, never>, Context, string>
    url: Resolver<O['Webhook'], Record<string, never>, Context, string>
    kinds: Resolver<O['Webhook'], Record<string, never>, Context, readonly string[]>
    enabled: Resolver<O['Webhook'], Record<string, never>, Context, boolean>
    disabledReason: Resolver<O['Webhook'], Record<string, never>, Context, string | null>
    createdAt: Resolver<O['Webhook'], Record<string, never>, Context, string>
    deliveries: Resolver<O['Webhook'], WebhookDeliveriesArgs, Context, readonly O['WebhookDelivery'][]>
  }>
  WebhookDelivery: Fields<O['WebhookDelivery'], {
    position: number
    attempt: number
    at: string
    status: number | null
    error: string | null
    durationMs: number
  }, {
    position: Resolver<O['WebhookDelivery'], Record<string, never>, Context, number>
    attempt: Resolver<O['WebhookDelivery'], Record<string, never>, Context, number>
    at: Resolver<O['WebhookDelivery'], Record<string, never>, Context, string>
    status: Resolver<O['WebhookDelivery'], Record<string, never>, Context, number | null>
    error: Resolver<O['WebhookDelivery'], Record<string, never>, Context, string | null>
    durationMs: Resolver<O['WebhookDelivery'], Record<string, never>, Context, number>
  }>
}>

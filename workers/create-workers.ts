import type { CompanyId, ShardId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import type { Service } from '../core/service.ts'
import type { Bus } from '../events/bus.ts'
import type { ChangeStream } from '../events/change-stream.ts'
import type { JobsConnection } from '../jobs/backend.ts'
import { announceJob } from '../jobs/follow-job.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { JobName } from '../jobs/definitions.ts'
import { createProcessing, type Processor } from '../jobs/processing.ts'
import type { QueueClass } from '../jobs/queues.ts'
import type { ExportWriter } from '../ledger/exports/write-exports.ts'
import { createFeedConsumer } from '../ledger/feed-consumer.ts'
import { createCounterpartFeed } from '../network/counterpart-feed.ts'
import type { Counterparts } from '../network/counterparts.ts'
import type { ShardAdmin } from '../store/admin.ts'
import type { Mover } from '../store/move/mover.ts'
import type { Rebalancer } from '../store/move/rebalance.ts'
import type { ShardSql, Store } from '../store/store.ts'
import type { Webhooks } from '../webhooks/webhooks.ts'
import { createExportLedger } from './export-ledger.ts'
import { createRelay } from './relay.ts'
import { createMoveJob, createPromotionJob, createRebalanceJob } from './shard-jobs.ts'
import { createVerifyLedger, type NewOpsRecord, type VerifyStored } from './verify-ledger.ts'
import { createWebhookDelivery, type DeliverableRecord } from './webhook-delivery.ts'
import { createWebhookFanout } from './webhook-fanout.ts'
import { createWebhookSender } from './webhook-request.ts'

export interface WorkersDeps {
  readonly store: Store
  readonly bus: Bus
  /** Started by the caller. */
  readonly changes: ChangeStream
  readonly jobs: Jobs
  readonly jobsConnection: JobsConnection
  readonly webhooks: Webhooks
  readonly counterparts: Counterparts
  readonly shards: { readonly admin: ShardAdmin; readonly mover: Mover; readonly rebalancer: Rebalancer }
  readonly readRecord: (sql: ShardSql, companyId: CompanyId, position: number) => Promise<DeliverableRecord | undefined>
  readonly verify: VerifyStored
  readonly exports: ExportWriter
  readonly append: (companyId: CompanyId, record: NewOpsRecord) => Promise<unknown>
  /** Disables the webhook and appends `webhook.disabled`, in one transaction. */
  readonly disableWebhook: (companyId: CompanyId, webhookId: string, reason: string) => Promise<void>
  /** Development only: webhooks to addresses of our own network. */
  readonly allowPrivateWebhooks: boolean
  readonly slots?: Partial<Record<QueueClass, number>>
  readonly logger: Logger
}

export interface Workers extends Service {
  /** Wakes the relay of this process; what the ledger calls after a commit. */
  nudge(shard: ShardId): void
}

/** Everything that one process of the role `workers` runs. Any number of such processes share the work. */
export function createWorkers(deps: WorkersDeps): Workers {
  const { store, bus, changes, jobs, webhooks, logger } = deps
  const stack = new AsyncDisposableStack()
  const relay = stack.use(createRelay({ store, bus, onFed: changes.take, logger: logger.child({ part: 'relay' }) }))

  const sender = stack.use(createWebhookSender({ allowPrivate: deps.allowPrivateWebhooks }))
  const processing = stack.use(
    createProcessing({
      connection: deps.jobsConnection,
      processors: {
        verifyLedger: createVerifyLedger({ verify: deps.verify, append: deps.append, logger }),
        exportLedger: createExportLedger({ exports: deps.exports, append: deps.append }),
        deliverWebhook: createWebhookDelivery({
          store,
          webhooks,
          sender,
          readRecord: deps.readRecord,
          disable: deps.disableWebhook,
          logger,
        }),
        moveCompany: createMoveJob(deps.shards),
        rebalanceShards: createRebalanceJob(deps.shards),
        promoteReplica: createPromotionJob(deps.shards),
      } satisfies Record<JobName, Processor>,
      logger: logger.child({ part: 'jobs' }),
      onChange: announceJob(bus),
      ...(deps.slots === undefined ? {} : { slots: deps.slots }),
    }),
  )

  const fanout = stack.use(
    createFeedConsumer({
      store,
      logger: logger.child({ part: 'webhooks' }),
      name: 'webhooks',
      begin: 'first',
      handle: createWebhookFanout({ store, jobs }),
    }),
  )

  const counterparts = stack.use(
    createCounterpartFeed({
      store,
      counterparts: deps.counterparts,
      logger: logger.child({ part: 'relationships' }),
    }),
  )
  const wake = (shard: ShardId): void => {
    fanout.nudge(shard)
    counterparts.nudge(shard)
  }

  return {
    nudge: (shard) => relay.nudge(shard),
    async start() {
      await relay.start()
      await fanout.start()
      await counterparts.start()
      stack.use(changes.subscribe({ change: ({ shard }) => wake(shard), reset: wake }))
      await processing.start()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

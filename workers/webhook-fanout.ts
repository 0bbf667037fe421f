import { AppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { Jobs, NewJob } from '../jobs/jobs.ts'
import { type FeedRow, recordKinds } from '../ledger/feed.ts'
import type { Store } from '../store/store.ts'
import { readWebhooks, type Webhook } from '../webhooks/webhooks.ts'
import { wants } from './webhook-delivery.ts'

const pageSize = 1_000
const jobsAtOnce = 500

/**
 * The feed consumer that turns records into deliveries. The job's id is the record's and the webhook's, so a change that is
 * handled again makes no second delivery; where the queue is full it fails, and the feed waits.
 */
export function createWebhookFanout(deps: {
  store: Store
  jobs: Jobs
}): (shard: ShardId, rows: readonly FeedRow[], signal: AbortSignal) => Promise<void> {
  const { store, jobs } = deps

  /** From where each company is now: it may have moved since its row was written, and is not fed again there. */
  async function webhooksOf(rows: readonly FeedRow[]): Promise<ReadonlyMap<CompanyId, readonly Webhook[]>> {
    const byShard = Map.groupBy(new Set(rows.map((row) => row.companyId)), (companyId) => store.shardOf(companyId))
    const parts = await Promise.all(
      [...byShard].map(([shard, companyIds]) => store.onPrimary(shard, (sql) => readWebhooks(sql, companyIds))),
    )
    return new Map(parts.flatMap((part) => [...part]))
  }

  return async (_shard, rows, signal) => {
    const webhooks = await webhooksOf(rows)
    let pending: NewJob[] = []
    const flush = async (): Promise<void> => {
      if (pending.length > 0) await jobs.submitMany(pending)
      pending = []
    }
    for (const { companyId, from, count, kinds } of rows) {
      const concerned = (webhooks.get(companyId) ?? []).filter((webhook) => kinds.some((kind) => wants(webhook, kind)))
      if (concerned.length === 0) continue
      for (let next = from; next < from + count;) {
        signal.throwIfAborted()
        const page = { from: next, end: from + count, limit: pageSize }
        const records = await store.onPrimary(store.shardOf(companyId), (sql) => recordKinds(sql, companyId, page))
        const last = records.at(-1)
        // Just moving: the next try finds them.
        if (last === undefined) throw new AppError('STALE_EPOCH', 'The records are not on their shard now.')
        next = last.position + 1
        for (const { position, kind } of records) {
          for (const webhook of concerned.filter((candidate) => wants(candidate, kind))) {
            pending.push({
              name: 'deliverWebhook',
              companyId,
              arguments: { webhookId: webhook.id, position },
              submittedBy: 'feed',
              jobId: `${companyId}.${position}.${webhook.id}`,
            })
            if (pending.length >= jobsAtOnce) await flush()
          }
        }
      }
    }
    await flush()
  }
}

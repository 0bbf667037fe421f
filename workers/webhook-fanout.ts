import type { ShardId } from '../core/ids.ts'
import type { NewJob, Jobs } from '../jobs/jobs.ts'
import { type FeedRow, recordKinds } from '../ledger/feed.ts'
import type { Store } from '../store/store.ts'
import { readWebhooks } from '../webhooks/webhooks.ts'
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

  return async (shard, rows, signal) => {
    const companyIds = [...new Set(rows.map((row) => row.companyId))]
    const webhooks = await store.onPrimary(shard, (sql) => readWebhooks(sql, companyIds))
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
        const records = await store.onPrimary(shard, (sql) => recordKinds(sql, companyId, page))
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
        // The company has moved away: its records are delivered from where it is now.
        if (records.length === 0) break
        next = (records.at(-1)?.position ?? next) + 1
      }
    }
    await flush()
  }
}

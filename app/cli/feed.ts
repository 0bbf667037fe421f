import { AppError } from '../../core/errors.ts'
import { forgetConsumer } from '../../ledger/feed-cursor.ts'
import { feedLags } from '../../ledger/feed-lag.ts'
import type { Store } from '../../store/store.ts'
import type { Command } from './command.ts'
import { withData } from './with-data.ts'

const usage = `usage: ledgerway feed consumers
       ledgerway feed forget NAME

  consumers    each durable consumer of the change feed, and how far it is behind
  forget       lets one go that is gone for good: it no longer holds up the trimming of the feed
`

/** The change feed's durable consumers: how far they are behind, and how one that is gone for good is let go. */
export const feedCommand: Command = { usage, options: {}, run }

async function run(args: readonly string[], signal: AbortSignal): Promise<number | 'misused'> {
  const [verb, name, ...more] = args
  if (verb === 'consumers' && name === undefined) return withData({ signal }, ({ store }) => consumers(store))
  if (verb === 'forget' && name !== undefined && more.length === 0) {
    return withData({ signal }, ({ store }) => forget(store, name))
  }
  return 'misused'
}

async function consumers(store: Store): Promise<number> {
  const feeds = await feedLags(store)
  for (const { shard, head, kept, waiting, consumers: all } of feeds) {
    line(`${shard}: at ${head}, ${kept} rows kept, ${waiting} changes wait for the relay`)
    for (const { consumer, behind, behindMs, failures, lastError } of all) {
      const late = behind === 0 ? 'up to date' : `${behind} behind, the oldest for ${Math.round(behindMs)} ms`
      line(`  ${consumer}: ${late}${failures === 0 ? '' : `, failed ${failures} times: ${lastError ?? ''}`}`)
    }
  }
  const silent = store.shards.filter((shard) => !feeds.some((feed) => feed.shard === shard))
  for (const shard of silent) line(`${shard}: does not answer`)
  return silent.length === 0 ? 0 : 1
}

/** @throws AppError SHARD_UNAVAILABLE where a shard is down: forgotten on the others, so to be said again. */
async function forget(store: Store, name: string): Promise<number> {
  const done = await Promise.all(
    store.shards.map((shard) => store.onPrimary(shard, (sql) => forgetConsumer(sql, name))),
  )
  if (!done.includes(true)) throw new AppError('NOT_FOUND', `No consumer is called ${name}.`)
  line(`${name} is forgotten`)
  return 0
}

const line = (text: string): void => void process.stdout.write(`${text}\n`)

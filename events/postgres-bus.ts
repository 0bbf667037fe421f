import postgres, { type Options } from 'postgres'
import { pause } from '../core/waker.ts'
import { settled } from '../core/settled.ts'
import type { Logger } from '../core/log.ts'
import { type Bus, subscribeWaitMs } from './bus.ts'
import { createJoiner, splitMessage } from './chunks.ts'
import { createSubscribers } from './subscribers.ts'

const maxPending = 1_000

/**
 * LISTEN/NOTIFY on the catalog's cluster, for deployments without Redis. A notification is a statement of its own, never
 * part of a write: NOTIFY takes a lock over the whole cluster at commit.
 *
 * Listens on a connection of its own rather than by postgres.js' `listen`, which gives up for good when its first attempt
 * to reconnect fails.
 */
export function createPostgresBus(deps: { url: string; prefix: string; logger: Logger }): Bus {
  const { url, prefix, logger } = deps
  const stop = new AbortController()
  const join = createJoiner()
  let listening = true
  let losses = 0
  let relistening: Promise<void> | undefined
  let publishing = true
  let probing: Promise<void> | undefined
  let pending = 0

  const common = { max: 1, fetch_types: false, connect_timeout: 5, onnotice: () => undefined }
  const notifier = postgres(url, { ...common, connection: { application_name: 'ledgerway-bus' } })
  const listenOptions = {
    ...common,
    idle_timeout: 0,
    max_lifetime: null,
    // Fast: the connection is local or the whole deployment is in trouble.
    backoff: (attempt: number) => Math.min(0.05 * 2 ** Math.min(attempt, 5), 1),
    connection: { application_name: 'ledgerway-bus-listener' },
    onnotify(channel: string, payload: string) {
      const message = join(payload)
      if (message !== undefined) subscribers.deliver(channel.slice(prefix.length + 1), message)
    },
    onclose() {
      listening = false
      losses += 1
      if (stop.signal.aborted || relistening !== undefined) return
      logger.warn({}, 'the Postgres bus lost its connection')
      relistening = relisten().finally(() => (relistening = undefined))
    },
  }
  // `onnotify` is passed through by postgres.js but absent from its types.
  const listener = postgres(url, listenOptions as unknown as Options<Record<string, never>>)

  const subscribers = createSubscribers({
    async open(channel) {
      const listened = listen(channel).catch(() => {
        // onclose is on it, or will be when the first connection could never be made.
        relistening ??= relisten().finally(() => (relistening = undefined))
        return relistening
      })
      await settled(listened, subscribeWaitMs)
    },
    async close(channel) {
      await settled(listener.unsafe(`unlisten "${prefix}:${channel}"`), subscribeWaitMs)
    },
  })

  async function listen(channel: string): Promise<void> {
    await listener.unsafe(`listen "${prefix}:${channel}"`)
  }

  async function relisten(): Promise<void> {
    for (let attempt = 0; !stop.signal.aborted; attempt += 1) {
      try {
        const before = losses
        for (const channel of subscribers.channels()) await listen(channel)
        listening = losses === before
        if (listening) return
      } catch {
        listening = false
        await pause(Math.min(50 * 2 ** Math.min(attempt, 5), 1_000), stop.signal)
      }
    }
  }

  /** Health must not wait for someone to publish again. */
  async function probe(): Promise<void> {
    while (!publishing && !stop.signal.aborted) {
      await pause(200, stop.signal)
      publishing = await notifier`select 1`.then(
        () => true,
        () => false,
      )
    }
  }

  return {
    async publish(channel, message) {
      if (pending >= maxPending || stop.signal.aborted) return
      pending += 1
      try {
        // One statement, and so one commit, for all parts of the message.
        const parts = JSON.stringify(splitMessage(message))
        await notifier`
          select pg_notify(${`${prefix}:${channel}`}, part) from json_array_elements_text(${parts}::text::json) part`
      } catch {
        publishing = false
        probing ??= probe().finally(() => (probing = undefined))
      } finally {
        pending -= 1
      }
    },
    subscribe: (channel, handler) => subscribers.add(channel, handler),
    healthy: () => listening && publishing && !stop.signal.aborted,
    async [Symbol.asyncDispose]() {
      stop.abort()
      await Promise.all([notifier.end({ timeout: 1 }), listener.end({ timeout: 1 })])
      await Promise.all([relistening, probing])
    },
  }
}

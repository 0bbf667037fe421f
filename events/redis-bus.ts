import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { settled } from '../core/settled.ts'
import type { Logger } from '../core/log.ts'
import { type Bus, subscribeWaitMs } from './bus.ts'
import { createSubscribers } from './subscribers.ts'

/** Messages waiting to be handed to a slow server; further ones are dropped, as the port allows. */
const maxPending = 10_000
const heartbeatMs = 1_000
/** A server that brings nothing for so long hangs, though its connections stand. */
const silenceMs = 4_000

/**
 * Redis publish/subscribe on two connections, since one that listens can do nothing else. Reconnects by itself and
 * subscribes anew; what was published meanwhile is lost.
 */
export function createRedisBus(deps: { url: string; prefix: string; logger: Logger }): Bus {
  const { url, prefix, logger } = deps
  const retryStrategy = (attempt: number): number => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000)
  const publisher = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 2_000,
    retryStrategy,
  })
  const listener = new Redis(url, { maxRetriesPerRequest: null, retryStrategy })
  let pending = 0
  let isAway = false
  // Every bus hears its own heart, by the way that messages go: publisher, server, listener.
  const heart = `${prefix}:heartbeat:${randomUUID()}`
  let heardAt = performance.now()
  listener.subscribe(heart).catch(() => undefined)
  const beating = setInterval(() => {
    publisher.publish(heart, '').catch(() => undefined)
  }, heartbeatMs).unref()

  for (const [name, connection] of Object.entries({ publisher, listener })) {
    let told = false
    connection.on('error', (error: Error) => {
      // Once a loss, not once an attempt.
      if (!told) logger.warn({ connection: name, error: error.message }, 'the Redis bus lost its connection')
      told = true
    })
    connection.on('ready', () => (told = false))
  }

  const subscribers = createSubscribers({
    async open(channel) {
      const subscribed = listener.subscribe(`${prefix}:${channel}`)
      // Left waiting in ioredis' queue where the connection is lost; it ends with the bus.
      subscribed.catch(() => undefined)
      if (isAway) return
      if (await settled(subscribed, subscribeWaitMs)) return
      // Waited for once: those who subscribe next would each wait as long for the same server.
      isAway = true
      logger.warn({}, 'Redis does not answer: events go by polling until it does')
    },
    async close(channel) {
      await settled(listener.unsubscribe(`${prefix}:${channel}`), subscribeWaitMs)
    },
  })
  listener.on('ready', () => (isAway = false))
  listener.on('message', (channel: string, message: string) => {
    if (channel === heart) heardAt = performance.now()
    else subscribers.deliver(channel.slice(prefix.length + 1), message)
  })

  return {
    async publish(channel, message) {
      if (pending >= maxPending) return
      pending += 1
      try {
        await publisher.publish(`${prefix}:${channel}`, message)
      } catch {
        // Lost: `healthy` says so, consumers poll.
      } finally {
        pending -= 1
      }
    },
    subscribe: (channel, handler) => subscribers.add(channel, handler),
    healthy: () =>
      publisher.status === 'ready' && listener.status === 'ready' && performance.now() - heardAt < silenceMs,
    async [Symbol.asyncDispose]() {
      clearInterval(beating)
      publisher.disconnect()
      listener.disconnect()
    },
  }
}

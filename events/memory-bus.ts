import type { Bus } from './bus.ts'
import { createSubscribers } from './subscribers.ts'

/** For one process that runs every role. Delivers in a later turn, as a network would: no publisher waits for a handler. */
export function createMemoryBus(): Bus {
  const subscribers = createSubscribers({ open: async () => undefined, close: async () => undefined })
  let closed = false
  return {
    async publish(channel, message) {
      setImmediate(() => {
        if (!closed) subscribers.deliver(channel, message)
      })
    },
    subscribe: (channel, handler) => subscribers.add(channel, handler),
    healthy: () => !closed,
    async [Symbol.asyncDispose]() {
      closed = true
    },
  }
}

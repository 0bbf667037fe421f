/** Handlers by channel, shared by the bus implementations: the first of a channel opens it, the last one closes it. */
export interface Subscribers {
  deliver(channel: string, message: string): void
  add(channel: string, handler: (message: string) => void): Promise<AsyncDisposable>
  channels(): readonly string[]
}

export function createSubscribers(wire: {
  /** Resolves once messages of the channel arrive. */
  open(channel: string): Promise<void>
  close(channel: string): Promise<void>
}): Subscribers {
  const byChannel = new Map<string, { handlers: Set<(message: string) => void>; opened: Promise<void> }>()

  return {
    deliver(channel, message) {
      // A handler may end its own subscription: a set allows that while it is walked.
      for (const handler of byChannel.get(channel)?.handlers ?? []) handler(message)
    },
    async add(channel, handler) {
      // Its own function, so that the same handler given twice is two subscriptions.
      const own = (message: string): void => handler(message)
      let entry = byChannel.get(channel)
      if (entry === undefined) {
        entry = { handlers: new Set(), opened: wire.open(channel) }
        byChannel.set(channel, entry)
      }
      const { handlers, opened } = entry
      handlers.add(own)
      const remove = async (): Promise<void> => {
        if (!handlers.delete(own) || handlers.size > 0) return
        byChannel.delete(channel)
        await opened.catch(() => undefined)
        // Someone may have subscribed anew meanwhile.
        if (!byChannel.has(channel)) await wire.close(channel)
      }
      try {
        await opened
      } catch (error) {
        handlers.delete(own)
        if (byChannel.get(channel) === entry) byChannel.delete(channel)
        throw error
      }
      return { [Symbol.asyncDispose]: remove }
    },
    channels: () => [...byChannel.keys()],
  }
}

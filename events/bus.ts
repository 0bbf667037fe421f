/**
 * Best-effort fan-out of small messages between processes. A message may be lost, doubled or late: it only says that
 * there is something to read, and every consumer also polls. Implementations: in process, Postgres, Redis.
 */
export interface Bus extends AsyncDisposable {
  /** Resolves when handed over; never rejects for a lost connection, which `healthy` tells. */
  publish(channel: string, message: string): Promise<void>
  /**
   * `handler` MUST NOT throw. Resolves once messages published from now on will arrive; while the connection is lost,
   * after at most two seconds all the same, and the subscription begins when the connection is back.
   */
  subscribe(channel: string, handler: (message: string) => void): Promise<AsyncDisposable>
  healthy(): boolean
}

/** How long `subscribe` waits for a lost connection. */
export const subscribeWaitMs = 2_000

import type { Sql } from 'postgres'
import { AppError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { createTemplate, openConnection, type Connection } from './connection.ts'
import { failureOf, translate, unavailable } from './errors.ts'
import type { Guard } from './guard.ts'
import type { PoolOptions } from './options.ts'

/** Counters since the start, and gauges of now; `waitMs` sums what callers waited for a connection. */
export interface PoolStats {
  readonly max: number
  readonly open: number
  readonly inUse: number
  readonly waiting: number
  readonly acquired: number
  readonly waitMs: number
  readonly refused: number
  readonly up: boolean
}

/** One connection, for one piece of work. MUST be released exactly once, when nothing is in flight on it. */
export interface Lease {
  readonly connection: Connection
  release(): void
}

export interface Pool extends AsyncDisposable {
  /** Makes query objects; MUST NOT be awaited itself. */
  readonly template: Sql
  readonly server: string
  readonly statementTimeoutMs: number
  /** @throws AppError SHARD_UNAVAILABLE | CATALOG_UNAVAILABLE (down, at once) | OVERLOADED (waited too long, or too many wait) | what `guard` says */
  acquire(guard: Guard): Promise<Lease>
  stats(): PoolStats
  /** Whether the server was up when last tried. */
  up(): boolean
  /** Called whenever the server goes down or comes back. */
  onChange(callback: (up: boolean) => void): void
}

interface Waiter {
  resolve(lease: Lease): void
  reject(error: AppError): void
}

const probeFirstMs = 100
const probeLongestMs = 1_000

/**
 * A pool of one server. While the server is down nobody waits: the first failure to connect marks it down, every call
 * then fails at once, and a probe of the pool's own finds out when it is back. So a dead shard costs a process one
 * connection attempt at a time and no waiting callers.
 */
export function createPool(deps: {
  url: string
  /** A shard's name or `catalog`: for errors. */
  server: string
  options: PoolOptions
  logger: Logger
  /** Refuses a server in the wrong role: a primary that is a standby, for one. */
  accept?: (connection: { standby: boolean }) => AppError | null
}): Pool {
  const { url, server, options, logger, accept } = deps
  const connectionOptions = { url, server, ...options }
  const template = createTemplate(connectionOptions)
  const idle: Connection[] = []
  const all = new Set<Connection>()
  const idleSince = new Map<Connection, number>()
  const waiters = new Set<Waiter>()
  const listeners: ((up: boolean) => void)[] = []
  let connecting = 0
  let down: AppError | null = null
  let probe: NodeJS.Timeout | undefined
  let stopped = false
  let acquired = 0
  let waitMs = 0
  let refused = 0

  async function open(): Promise<void> {
    connecting += 1
    try {
      const connection = await openConnection(connectionOptions, template, () => forget(connection))
      const refusal = stopped ? shuttingDown() : (accept?.(connection) ?? null)
      if (refusal !== null) {
        await connection.close()
        throw refusal
      }
      all.add(connection)
      markUp()
      give(connection)
    } catch (error) {
      // The server is there but takes no more connections: what is open goes on.
      if (failureOf(error) === 'overloaded' && all.size > 0) return
      markDown(error)
    } finally {
      connecting -= 1
    }
  }

  function markUp(): void {
    if (down === null) return
    down = null
    logger.info({ server }, 'the server is back')
    for (const listener of listeners) listener(true)
  }

  function markDown(error: unknown): void {
    const translated = translate(error, server)
    const reason = translated instanceof AppError ? translated : unavailable(server, error)
    const first = down === null
    down = reason
    for (const waiter of waiters) waiter.reject(reason)
    waiters.clear()
    if (stopped) return
    if (first) {
      logger.warn({ server, reason: error instanceof Error ? error.message : String(error) }, 'the server is down')
      for (const listener of listeners) listener(false)
    }
    scheduleProbe(first ? probeFirstMs : probeLongestMs)
  }

  function scheduleProbe(ms: number): void {
    clearTimeout(probe)
    probe = setTimeout(() => void open(), ms * (0.75 + Math.random() / 2))
    probe.unref()
  }

  function forget(connection: Connection): void {
    all.delete(connection)
    idleSince.delete(connection)
    const index = idle.indexOf(connection)
    if (index >= 0) idle.splice(index, 1)
    // Who waits may need another in its place.
    if (waiters.size > 0) grow()
  }

  function grow(): void {
    if (down === null && !stopped && connecting < waiters.size && all.size + connecting < options.max) void open()
  }

  /** To the one who waits longest, else to the idle. */
  function give(connection: Connection): void {
    if (connection.closed) return
    const [waiter] = waiters
    if (waiter !== undefined && !expiredLife(connection)) {
      waiters.delete(waiter)
      waiter.resolve(lease(connection))
      return
    }
    if (stopped || expiredLife(connection)) {
      forget(connection)
      void connection.close()
      return
    }
    idle.push(connection)
    idleSince.set(connection, Date.now())
  }

  function lease(connection: Connection): Lease {
    acquired += 1
    let released = false
    return {
      connection,
      release() {
        if (released) return
        released = true
        give(connection)
      },
    }
  }

  const lives = new WeakMap<Connection, number>()
  function expiredLife(connection: Connection): boolean {
    let life = lives.get(connection)
    if (life === undefined) lives.set(connection, (life = options.lifetimeMs * (0.8 + Math.random() * 0.4)))
    return Date.now() - connection.openedAtMs > life
  }

  const sweep = setInterval(
    () => {
      const now = Date.now()
      // The longest idle are at the front: the newest is always used first.
      for (const connection of idle.slice()) {
        const spare = all.size > options.min && now - (idleSince.get(connection) ?? now) > options.idleMs
        if (spare || expiredLife(connection)) {
          forget(connection)
          void connection.close()
        }
      }
      if (down === null && !stopped && all.size + connecting < options.min) void open()
    },
    Math.max(50, Math.min(1_000, options.idleMs / 4)),
  )
  sweep.unref()

  function wait(guard: Guard): Promise<Lease> {
    const since = performance.now()
    const { promise, resolve, reject } = Promise.withResolvers<Lease>()
    const done = (): void => {
      waiters.delete(waiter)
      clearTimeout(timer)
      unsubscribe()
      waitMs += performance.now() - since
    }
    const waiter: Waiter = {
      resolve(lease) {
        done()
        resolve(lease)
      },
      reject(error) {
        done()
        refused += 1
        reject(error)
      },
    }
    const timer = setTimeout(() => waiter.reject(overloaded(server)), options.waitTimeoutMs)
    waiters.add(waiter)
    let unsubscribe = (): void => {}
    unsubscribe = guard.onExpire((reason) => waiter.reject(reason))
    grow()
    return promise
  }

  return {
    template,
    server,
    statementTimeoutMs: options.statementTimeoutMs,
    async acquire(guard) {
      const over = guard.expired()
      if (over !== null) throw over
      if (stopped) throw shuttingDown()
      for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
        idleSince.delete(connection)
        if (!connection.closed && !expiredLife(connection)) return lease(connection)
        forget(connection)
        void connection.close()
      }
      if (down !== null) {
        refused += 1
        throw down
      }
      if (waiters.size >= options.maxWaiting) {
        refused += 1
        throw overloaded(server)
      }
      return wait(guard)
    },
    stats: () => ({
      max: options.max,
      open: all.size,
      inUse: all.size - idle.length,
      waiting: waiters.size,
      acquired,
      waitMs,
      refused,
      up: down === null,
    }),
    up: () => down === null,
    onChange: (callback) => void listeners.push(callback),
    async [Symbol.asyncDispose]() {
      if (stopped) return
      stopped = true
      clearInterval(sweep)
      clearTimeout(probe)
      for (const waiter of waiters) waiter.reject(shuttingDown())
      await Promise.all([...all].map((connection) => connection.close()))
    },
  }
}

const overloaded = (server: string): AppError =>
  new AppError('OVERLOADED', 'All database connections are busy. Try again.', { details: { server } })

const shuttingDown = (): AppError => new AppError('SHUTTING_DOWN', 'The server is stopping.')

import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { finished, Stream, type Readable, type Writable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import postgres, { type Sql } from 'postgres'
import { formatArray, parseArray } from './array.ts'
import { unavailable } from './errors.ts'
import { valueTypes } from './types.ts'

/**
 * What of a postgres.js query we rely on. `handler` sends it, and is called at most once and only for a query that is
 * awaited by itself: a query used as a fragment of another is never sent. Hence every exact count hangs on `handler`.
 */
export interface RawQuery extends Promise<unknown> {
  handler: (query: RawQuery) => void
  resolve: (value: unknown) => void
  reject: (reason: unknown) => void
  cancel(): Promise<void> | null
  /** The server is at it now: not waiting behind another on the same connection. */
  active: boolean
  cancelled: unknown
  cursorRows?: number
  streaming?: boolean
}

export function isQuery(value: unknown): value is RawQuery {
  return value instanceof Promise && 'handler' in value
}

export interface ConnectionOptions {
  readonly url: string
  readonly server: string
  readonly statementTimeoutMs: number
  readonly lockTimeoutMs: number
  readonly connectTimeoutMs: number
}

/**
 * One physical connection, never reconnected: postgres.js would send what was queued for a lost connection over a new
 * one, outside its transaction. So each connection is a client of its own (`max: 1`) with its one connection reserved
 * for good, and a lost one is thrown away.
 */
export interface Connection {
  readonly openedAtMs: number
  /** Whether the server was a standby when the connection was made. */
  readonly standby: boolean
  readonly closed: boolean
  /** Sends it behind those sent before. Both outcomes settle the query, then call `settled`. */
  execute(query: RawQuery, settled: () => void): void
  /** Says goodbye to the server; what is in flight fails. Resolves when it is closed, or soon after. */
  close(): Promise<void>
  /** Cuts it: for a server that does not answer. */
  destroy(): void
}

/** The one type whose arrays are not separated by commas. */
const boxType = '603'

/** Never connects: makes the query objects, which a connection then sends. */
export function createTemplate(options: ConnectionOptions): Sql {
  return postgres(options.url, clientOptions(options))
}

export async function openConnection(
  options: ConnectionOptions,
  template: Sql,
  onClosed: () => void,
): Promise<Connection> {
  const sockets = new Set<Socket>()
  const outstanding = new Set<RawQuery>()
  let closed = false
  let opened = false
  let tried = false

  const lose = (): void => {
    if (closed) return
    closed = true
    for (const query of outstanding) query.reject(unavailable(options.server))
    for (const socket of sockets) socket.destroy()
    if (opened) onClosed()
  }
  // Not in the published types: lets us cut a connection whose server does not answer.
  const ownSocket = {
    socket: async (parsed: { host: string[]; port: number[]; path?: string }) => {
      // postgres.js would try again without end and without a pause where a server hangs up before it has spoken.
      if (tried) throw Object.assign(new Error('the server hung up'), { code: 'CONNECTION_CLOSED' })
      tried = true
      const socket = await openSocket(parsed, options.connectTimeoutMs)
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      return socket
    },
  }
  const client = postgres(options.url, { ...clientOptions(options), ...ownSocket, onclose: lose })

  let sql: Awaited<ReturnType<typeof client.reserve>>
  let standby: boolean
  const timer = globalThis.setTimeout(lose, options.connectTimeoutMs)
  try {
    // Whoever is told of a commit may rely on it, and a position read after it covers it: `off` breaks both.
    const [row] = await client<{ standby: boolean; types: string }[]>`
      select pg_is_in_recovery() as standby,
        set_config('synchronous_commit', case current_setting('synchronous_commit') when 'off' then 'on'
          else current_setting('synchronous_commit') end, false),
        (select string_agg(oid::text || ' ' || typarray::text, ',') from pg_catalog.pg_type
          where typarray <> 0 and typtype <> 'c') as types`
    standby = row?.standby ?? false
    learnArrayTypes([client, template], row?.types ?? '')
    sql = await client.reserve()
    if (closed) throw unavailable(options.server)
    opened = true
  } catch (error) {
    lose()
    void client.end({ timeout: 0 })
    throw error
  } finally {
    clearTimeout(timer)
  }
  const send = (sql`` as unknown as RawQuery).handler

  return {
    openedAtMs: Date.now(),
    standby,
    get closed() {
      return closed
    },
    execute(query, settled) {
      // A dead connection of postgres.js would write to a socket that is null, in a timer of its own.
      if (closed) {
        query.reject(unavailable(options.server))
        settled()
        return
      }
      outstanding.add(query)
      onceSettled(query, () => {
        outstanding.delete(query)
        settled()
      })
      send(query)
    },
    async close() {
      if (closed) return
      await client.end({ timeout: 0 })
      const over = [...sockets].map((socket) => once(socket, 'close'))
      // A server that does not answer the goodbye keeps nobody waiting.
      await Promise.race([Promise.all(over), setTimeout(250, undefined, { ref: false })])
      lose()
    },
    destroy: lose,
  }
}

/** Calls `callback` before the query's own outcome. A cursor sets its outcome functions anew at every step. */
function onceSettled(query: RawQuery, callback: () => void): void {
  let done = false
  const settle = (): void => {
    if (done) return
    done = true
    callback()
  }
  for (const outcome of ['resolve', 'reject'] as const) {
    let current = query[outcome]
    const wrapped = (value: unknown): void => {
      // A COPY resolves with its stream, and the connection is busy until that ends.
      if (value instanceof Stream) finished(value as Readable | Writable, settle)
      else settle()
      current(value)
    }
    if (query.cursorRows === undefined) query[outcome] = wrapped
    else {
      void Object.defineProperty(query, outcome, {
        get: () => wrapped,
        set(next) {
          current = next
        },
      })
    }
  }
}

/**
 * Makes arrays known to clients, as `fetch_types` would: that one's own statement is awaited by nobody, so a server that
 * ends the connection at this moment would end the process.
 */
function learnArrayTypes(clients: readonly Sql[], types: string): void {
  for (const client of clients) {
    const { parsers, serializers, shared } = client.options as unknown as {
      parsers: Record<string, ((text: string) => unknown) | undefined>
      serializers: Record<string, ((value: unknown) => unknown) | undefined>
      shared: { typeArrayMap: Record<string, number> }
    }
    for (const pair of types.split(',')) {
      const [element = '', array = ''] = pair.split(' ')
      const delimiter = element === boxType ? ';' : ','
      shared.typeArrayMap[element] = Number(array)
      parsers[array] = (text) => parseArray(text, parsers[element], delimiter)
      serializers[array] = (values) => formatArray(values, serializers[element], delimiter)
    }
  }
}

function clientOptions(options: ConnectionOptions) {
  return {
    max: 1,
    idle_timeout: undefined,
    max_lifetime: null,
    fetch_types: false,
    connect_timeout: options.connectTimeoutMs / 1000,
    types: valueTypes,
    onnotice() {},
    connection: {
      application_name: 'ledgerway',
      statement_timeout: options.statementTimeoutMs,
      lock_timeout: options.lockTimeoutMs,
      idle_in_transaction_session_timeout: 60_000,
      TimeZone: 'UTC',
    },
    // Not in the published types: without it each client prepares for logical replication.
    no_subscribe: true,
  }
}

function openSocket(parsed: { host: string[]; port: number[]; path?: string }, timeoutMs: number): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const host = parsed.host[0] ?? 'localhost'
  const port = parsed.port[0] ?? 5432
  const socket = parsed.path
    ? connect({ path: parsed.path })
    : connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 })
  // postgres.js names the server of a TLS connection by what it finds here.
  Object.assign(socket, { host, port })
  const timer = globalThis.setTimeout(() => {
    socket.destroy(Object.assign(new Error('connecting took too long'), { code: 'CONNECT_TIMEOUT' }))
  }, timeoutMs)
  socket.once('connect', () => {
    clearTimeout(timer)
    resolve(socket)
  })
  socket.once('error', (error) => {
    clearTimeout(timer)
    reject(error)
  })
  return promise
}

import type { Sql, TransactionSql } from 'postgres'
import { AppError, isAppError } from '../../core/errors.ts'
import { isQuery, type Connection, type RawQuery } from './connection.ts'
import { failureOf, translate } from './errors.ts'
import type { Guard } from './guard.ts'
import type { Pool } from './pool.ts'

/** How long a server has to stop a statement that nobody wants any more, before its connection is cut. */
const cancelGraceMs = 1_000
/** A commit may wait for a synchronous standby; a server that does not answer it for this long is gone. */
const controlLimitMs = 15_000

export interface SqlDeps {
  readonly pool: Pool
  readonly guard: Guard
  /** Instead of the pool's own, for statements in transactions. */
  readonly statementLimitMs?: number | undefined
  /** Once for every statement sent; a fragment inside another is not one, nor is transaction control. */
  readonly onStatement: () => void
}

/**
 * A postgres.js `Sql` over a pool: each statement takes a connection for itself, `begin` one for the transaction. Its
 * statements end when the guard does: the caller hears so at once, and the server is asked to stop.
 */
export function pooledSql(deps: SqlDeps): Sql {
  const { pool, guard } = deps
  const dispatch = (query: RawQuery): void => {
    fail(query, pool.server)
    pool.acquire(guard).then(
      (lease) => {
        if (query.cancelled) lease.release()
        else send(query, lease.connection, deps, () => lease.release())
      },
      (error: unknown) => query.reject(error),
    )
  }
  const begin = async (first: unknown, second?: unknown): Promise<unknown> => {
    const fn = (second ?? first) as (tx: TransactionSql) => unknown
    const { value } = await inTransaction(deps, typeof first === 'string' ? first : '', async (tx) => {
      const result = fn(tx)
      return Array.isArray(result) ? Promise.all(result) : result
    })
    return value
  }
  return facade(pool.template, dispatch, { begin })
}

/**
 * One transaction on one connection. `begin` travels with the first statement, and `last` with the commit, run right
 * after it: a transaction of one statement takes two round trips.
 */
export async function inTransaction<T>(
  deps: SqlDeps,
  options: string,
  fn: (tx: TransactionSql) => Promise<T>,
  last?: string,
): Promise<{ value: T; last: Record<string, unknown> | undefined }> {
  const { pool, guard } = deps
  const lease = await pool.acquire(guard)
  const { connection } = lease
  let open = true
  let inFlight = 0
  let broken: Error | undefined

  const control = (text: string): Promise<Record<string, unknown>[] & { command: string }> => {
    const pending = pool.template.unsafe(text)
    const query = pending as unknown as RawQuery
    fail(query, pool.server)
    query.handler = () => {
      const cut = setTimeout(() => connection.destroy(), controlLimitMs)
      connection.execute(query, () => clearTimeout(cut))
    }
    // A query is sent when it is first awaited; the order of these must not depend on that.
    void pending.execute()
    return pending as never
  }
  const dispatch = (query: RawQuery): void => {
    fail(query, pool.server)
    if (!open) {
      query.reject(new Error('a statement was sent through a transaction that is over'))
      return
    }
    inFlight += 1
    const { reject } = query
    query.reject = (error) => {
      broken ??= error as Error
      reject(error)
    }
    send(query, connection, deps, () => (inFlight -= 1))
  }
  let savepoints = 0
  const savepoint = async (first: unknown, second?: unknown): Promise<unknown> => {
    const name = `s${++savepoints}`
    const before = broken
    await control(`savepoint ${name}`)
    try {
      const value: unknown = await ((second ?? first) as (tx: TransactionSql) => unknown)(tx)
      if (broken !== undefined && broken !== before) throw broken
      return value
    } catch (error) {
      await control(`rollback to ${name}`)
      broken = before
      throw error
    }
  }
  const tx = facade(pool.template, dispatch, { savepoint }) as unknown as TransactionSql

  const begun = control(`begin ${options.replace(/[^a-z ]/gi, '')}`)
  begun.catch(() => {})
  if (deps.statementLimitMs !== undefined) {
    control(`set local statement_timeout = ${Math.ceil(deps.statementLimitMs)}`).catch(() => {})
  }
  try {
    const value = await fn(tx)
    await begun
    if (broken !== undefined) throw broken
    const over = guard.expired()
    if (over !== null) throw over
    open = false
    const committed = control('commit')
    const read = last === undefined ? undefined : control(last)
    read?.catch(() => {})
    if ((await committed.catch(outcomeUnknown)).command !== 'COMMIT') {
      throw broken ?? new Error('the server rolled the transaction back')
    }
    const rows = await read
    lease.release()
    return { value, last: rows?.[0] }
  } catch (error) {
    open = false
    // A statement in flight, or a rollback that fails, leaves a connection in an unknown state.
    const cut = setTimeout(() => connection.destroy(), cancelGraceMs)
    await control('rollback').catch(() => connection.destroy())
    clearTimeout(cut)
    if (inFlight > 0) connection.destroy()
    lease.release()
    throw translate(error, pool.server)
  }
}

/** Sends one statement and stops it when the guard ends. */
function send(query: RawQuery, connection: Connection, deps: SqlDeps, settled: () => void): void {
  const { guard, onStatement } = deps
  const over = guard.expired()
  if (over !== null) {
    query.reject(over)
    settled()
    return
  }
  const { reject } = query
  let cut: NodeJS.Timeout | undefined
  const unsubscribe = guard.onExpire((reason) => {
    cut = setTimeout(() => connection.destroy(), cancelGraceMs)
    // postgres.js loses count of a connection's answers when a statement is cancelled that waits behind another.
    if (query.active) Promise.resolve(query.cancel()).catch(() => connection.destroy())
    else connection.destroy()
    reject(reason)
  })
  onStatement()
  // The server stops a statement at its limit by itself; one that has not even said so after that is gone. A cursor or a
  // COPY lasts as long as its reader takes.
  const lasting = query.cursorRows !== undefined || query.streaming === true
  const silent = lasting
    ? undefined
    : setTimeout(() => connection.destroy(), (deps.statementLimitMs ?? deps.pool.statementTimeoutMs) + cancelGraceMs)
  connection.execute(query, () => {
    clearTimeout(cut)
    clearTimeout(silent)
    unsubscribe()
    settled()
  })
}

/** A commit that was sent and not answered: run again, it may happen twice, unless it is idempotent. */
function outcomeUnknown(error: unknown): never {
  if (!isAppError(error)) throw error
  throw new AppError(error.code, error.message, { cause: error, details: { ...error.details, outcome: 'unknown' } })
}

/** The server's errors become the store's. */
function fail(query: RawQuery, server: string): void {
  const { reject } = query
  query.reject = (error) => reject(failureOf(error) === 'retry' ? error : translate(error, server))
}

/** The parts of postgres.js that own connections have no place on a pooled client. */
const withheld = ['listen', 'subscribe', 'reserve', 'largeObject', 'end', 'close', 'file', 'prepare'] as const

function facade(template: Sql, dispatch: (query: RawQuery) => void, extra: object): Sql {
  const governed = <T>(value: T): T => {
    if (isQuery(value)) value.handler = dispatch
    return value
  }
  const sql = (...args: Parameters<Sql>): unknown => governed(template(...args))
  const refused = Object.fromEntries(
    withheld.map((name) => [
      name,
      () => {
        throw new AppError('INTERNAL_SERVER_ERROR', `"${name}" needs a connection of its own`)
      },
    ]),
  )
  return Object.assign(sql, {
    ...refused,
    unsafe: (...args: Parameters<Sql['unsafe']>) => governed(template.unsafe(...args)),
    notify: (channel: string, payload: string) => governed(template`select pg_notify(${channel}, ${payload})`),
    array: template.array,
    json: template.json,
    typed: template.typed,
    types: template.types,
    options: template.options,
    parameters: template.parameters,
    ...extra,
  }) as unknown as Sql
}

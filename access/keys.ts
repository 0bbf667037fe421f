import type { Sql, TransactionSql } from 'postgres'
import { type Clock, systemClock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../core/ids.ts'
import type { Logger } from '../core/log.ts'
import { untilCatalogAnswers } from '../core/patience.ts'
import type { Principal } from '../core/request.ts'
import type { Service } from '../core/service.ts'
import { uuidv7 } from '../core/uuid.ts'
import { type Action, actions, allScopes, unauthenticated } from './rights.ts'
import { hashSecret, newSecret } from './secrets.ts'

/** Says that keys changed; the message is the key's id. Lost messages only delay: every process also polls. */
const keysChannel = 'access-keys'

/** The part of `events/bus.ts` that keys need. */
export interface KeyBus {
  publish(channel: string, message: string): Promise<void>
  subscribe(channel: string, handler: (message: string) => void): Promise<AsyncDisposable>
}

export interface KeyInfo {
  readonly keyId: string
  /** Absent: an administrator's key. */
  readonly companyId?: CompanyId
  readonly scopes: readonly string[]
  readonly label: string
  readonly createdAt: Date
  readonly createdBy: string
  readonly revokedAt?: Date
}

export interface NewKey {
  /** Absent: an administrator's key. */
  readonly companyId?: CompanyId
  /** Absent: all that its owner may do. */
  readonly scopes?: readonly Action[]
  readonly label: string
  /** Whose doing it is: a key's id, or `start` or `cli`. */
  readonly createdBy: string
}

export interface KeyRing extends Service {
  /**
   * Who carries this key. From the process' own copy, so it works while the catalog is down; only a key that the copy does
   * not know costs a (bounded) question to the catalog.
   * @throws AppError UNAUTHENTICATED, or CATALOG_UNAVAILABLE where no copy could be had since the start
   */
  authenticate(key: string): Promise<Principal>
  /** The key is shown here once and never again. @throws AppError CATALOG_UNAVAILABLE */
  create(key: NewKey): Promise<{ info: KeyInfo; key: string }>
  /** True where it was not revoked before. @throws AppError CATALOG_UNAVAILABLE */
  revoke(keyId: string): Promise<boolean>
  /** Newest first, revoked ones too. @throws AppError CATALOG_UNAVAILABLE */
  list(filter?: { companyId?: CompanyId; first?: number }): Promise<KeyInfo[]>
  /** @throws AppError CATALOG_UNAVAILABLE */
  find(keyId: string): Promise<KeyInfo | undefined>
  /** Whether this process still takes the key with this id for valid. */
  valid(keyId: string): boolean
  /** `handler` MUST NOT throw. Open streams end by this. Returns how to stop listening. */
  onRevoked(handler: (keyId: string) => void): () => void
}

interface Row {
  key_id: string
  key_hash: Buffer
  company_id: string | null
  scopes: string[]
  label: string
  created_at: Date
  created_by: string
  revoked_at: Date | null
  changed_at: Date
}

interface Held {
  readonly hash: string
  readonly principal: Principal
}

const pageSize = 5_000
/** Rows become visible in commit order, `changed_at` is set before: what committed late is still found. */
const overlapMs = 60_000
const unknownKeptMs = 5_000
const unknownKept = 10_000
const maxKeyLength = 512

export function createKeyRing(deps: {
  catalog: Sql
  bus: KeyBus
  logger: Logger
  clock?: Clock
  /** How late a process learns of a change whose message was lost. */
  pollMs?: number
  /** Questions to the catalog per second for keys nobody knows: a flood of wrong keys must not reach the database. */
  lookupsPerSecond?: number
}): KeyRing {
  const { catalog, bus, logger, clock = systemClock, pollMs = 15_000, lookupsPerSecond = 50 } = deps
  const byHash = new Map<string, Held>()
  const byId = new Map<string, Held>()
  /** Hash -> when it was found to be nobody's. */
  const unknown = new Map<string, number>()
  const handlers = new Set<(keyId: string) => void>()
  let loaded = false
  let changedSince = 0
  let refreshing: Promise<void> | undefined
  let lookAgain = false
  let lookups = { second: 0, count: 0 }
  let timer: NodeJS.Timeout | undefined
  let subscription: AsyncDisposable | undefined

  function take(row: Row): void {
    changedSince = Math.max(changedSince, row.changed_at.getTime())
    const hash = row.key_hash.toString('base64')
    const known = byId.get(row.key_id)
    if (row.revoked_at !== null) {
      byHash.delete(hash)
      byId.delete(row.key_id)
      if (known !== undefined) for (const handler of handlers) handler(row.key_id)
      return
    }
    unknown.delete(hash)
    if (known !== undefined) return
    const held = { hash, principal: principalOf(row) }
    byHash.set(hash, held)
    byId.set(row.key_id, held)
  }

  async function load(): Promise<void> {
    if (!loaded) {
      let after = ''
      for (;;) {
        const rows = await catalog<Row[]>`
          select * from access_keys where revoked_at is null and key_id > ${after} order by key_id limit ${pageSize}`
        rows.forEach(take)
        if (rows.length < pageSize) break
        after = rows[rows.length - 1]?.key_id ?? after
      }
      loaded = true
      return
    }
    const since = new Date(changedSince - overlapMs)
    const rows = await catalog<Row[]>`select * from access_keys where changed_at >= ${since} order by changed_at`
    rows.forEach(take)
  }

  /** What is told of while a refresh is under way may have been committed after that one looked: it looks again. */
  function refresh(): Promise<void> {
    lookAgain = true
    refreshing ??= (async () => {
      try {
        while (lookAgain) {
          lookAgain = false
          await load()
        }
      } finally {
        refreshing = undefined
      }
    })()
    return refreshing
  }

  async function refreshQuietly(): Promise<void> {
    try {
      await refresh()
    } catch (error) {
      logger.warn({ error }, 'API keys could not be refreshed; going on with the copy in memory')
    }
  }

  function mayLookUp(): boolean {
    const second = Math.floor(clock.now() / 1000)
    if (lookups.second !== second) lookups = { second, count: 0 }
    lookups.count += 1
    return lookups.count <= lookupsPerSecond
  }

  async function lookUp(hash: Buffer, text: string): Promise<Held | undefined> {
    const missedAt = unknown.get(text)
    if (missedAt !== undefined && clock.now() - missedAt < unknownKeptMs) return undefined
    if (!mayLookUp()) return undefined
    try {
      const [row] = await catalog<Row[]>`select * from access_keys where key_hash = ${hash} and revoked_at is null`
      if (row !== undefined) {
        take(row)
        return byHash.get(text)
      }
    } catch (error) {
      // With a copy, a key that it does not hold is an unknown key; without one nothing can be said.
      if (!loaded) throw catalogUnavailable(error)
      return undefined
    }
    if (unknown.size >= unknownKept) unknown.delete(unknown.keys().next().value ?? '')
    unknown.set(text, clock.now())
    return undefined
  }

  return {
    async start() {
      subscription = await bus.subscribe(keysChannel, () => void refreshQuietly())
      await refreshQuietly()
      timer = setInterval(() => void refreshQuietly(), pollMs)
      timer.unref()
    },

    async authenticate(key) {
      if (key.length === 0 || key.length > maxKeyLength) throw unauthenticated()
      const hash = hashSecret(key)
      const text = hash.toString('base64')
      const held = byHash.get(text) ?? (await lookUp(hash, text))
      if (held === undefined) throw unauthenticated()
      return held.principal
    },

    async create(request) {
      const key = newSecret(request.companyId === undefined ? 'lwa_' : 'lwk_')
      const row = await insertKey(catalog, request, key)
      take(row)
      await bus.publish(keysChannel, row.key_id)
      return { info: infoOf(row), key }
    },

    async revoke(keyId) {
      const [row] = await asking(
        catalog<Row[]>`
          update access_keys set revoked_at = clock_timestamp(), changed_at = clock_timestamp()
          where key_id = ${keyId} and revoked_at is null returning *`,
      )
      if (row === undefined) return false
      take(row)
      await bus.publish(keysChannel, keyId)
      return true
    },

    async list({ companyId, first = 100 } = {}) {
      const rows = await asking(
        catalog<Row[]>`
          select * from access_keys
          where ${companyId ?? null}::text is null or company_id = ${companyId ?? null}
          order by key_id desc limit ${Math.min(Math.max(first, 1), 1000)}`,
      )
      return rows.map(infoOf)
    },

    async find(keyId) {
      const [row] = await asking(catalog<Row[]>`select * from access_keys where key_id = ${keyId}`)
      return row === undefined ? undefined : infoOf(row)
    },

    valid: (keyId) => byId.has(keyId),

    onRevoked(handler) {
      handlers.add(handler)
      return () => handlers.delete(handler)
    },

    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await subscription?.[Symbol.asyncDispose]()
      await refreshing?.catch(() => {})
    },
  }
}

/**
 * The administrator's key of a first start. With `adminApiKey` exactly that key is valid (others stay so); without it a key
 * is made where no administrator has one, and returned to be shown once. Safe when several processes start at once.
 */
export async function ensureAdminKey(deps: {
  catalog: Sql
  adminApiKey?: string
  logger: Logger
}): Promise<{ created?: string }> {
  const { catalog, adminApiKey, logger } = deps
  const key = adminApiKey ?? newSecret('lwa_')
  const hash = hashSecret(key)
  const label = adminApiKey === undefined ? 'first administrator' : 'ADMIN_API_KEY'
  const made = adminApiKey === undefined ? { created: key } : {}
  const ensure = async (tx: TransactionSql): Promise<{ created?: string }> => {
    await tx`select pg_advisory_xact_lock(hashtext('ledgerway.access.first-admin'))`
    const [known] = await tx<{ ours: boolean }[]>`
      select key_hash = ${hash} as ours from access_keys where company_id is null and revoked_at is null
      order by ours desc limit 1`
    // Ours: a try before this one was committed, and its answer lost.
    if (known?.ours === true) return made
    if (adminApiKey === undefined && known !== undefined) return {}
    await insertKey(tx, { label, createdBy: 'start' }, key)
    return made
  }
  return untilCatalogAnswers(() => asking(catalog.begin(ensure)), { logger })
}

/** A key that was revoked comes back to life here: only `ADMIN_API_KEY` can collide, and its operator asked for it. */
async function insertKey(sql: Sql | TransactionSql, request: NewKey, key: string): Promise<Row> {
  const unknownScope = (request.scopes ?? []).find((scope) => !actions.includes(scope))
  if (unknownScope !== undefined) throw new AppError('BAD_USER_INPUT', `There is no right "${unknownScope}".`)
  const [row] = await asking(
    sql<Row[]>`
      insert into access_keys (key_id, key_hash, company_id, scopes, label, created_by)
      values (${uuidv7()}, ${hashSecret(key)}, ${request.companyId ?? null}, ${[...(request.scopes ?? [allScopes])]},
        ${request.label.slice(0, 200)}, ${request.createdBy})
      on conflict (key_hash) do update set revoked_at = null, changed_at = clock_timestamp(),
        company_id = excluded.company_id, scopes = excluded.scopes
      returning *`,
  )
  if (row === undefined) throw new AppError('INTERNAL_SERVER_ERROR', 'The key was not stored.')
  return row
}

async function asking<T>(answer: PromiseLike<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof AppError) throw error
    throw catalogUnavailable(error)
  }
}

function catalogUnavailable(cause: unknown): AppError {
  return new AppError('CATALOG_UNAVAILABLE', 'Keys cannot be looked up or changed just now. Try again.', { cause })
}

function principalOf(row: Row): Principal {
  const { key_id: keyId, scopes } = row
  return row.company_id === null
    ? { kind: 'admin', keyId, scopes }
    : { kind: 'company', companyId: parseCompanyId(row.company_id), keyId, scopes }
}

function infoOf(row: Row): KeyInfo {
  return {
    keyId: row.key_id,
    ...(row.company_id === null ? {} : { companyId: parseCompanyId(row.company_id) }),
    scopes: row.scopes,
    label: row.label,
    createdAt: row.created_at,
    createdBy: row.created_by,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
  }
}

import { Redis } from 'ioredis'
import postgres from 'postgres'
import { afterAll, describe, expect, test } from 'vitest'
import { createPostgresTicketStore } from '../../access/tickets-in-postgres.ts'
import { createRedisTicketStore } from '../../access/tickets-in-redis.ts'
import { createTickets, type TicketStore } from '../../access/tickets.ts'
import { parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { anonymous, type Principal } from '../../core/request.ts'
import { acquireShards } from '../support/postgres.ts'
import { redisUrl } from '../support/redis.ts'

const acme: Principal = { kind: 'company', companyId: parseCompanyId('acme'), keyId: 'k', scopes: ['*'] }
const unauthenticated = expect.objectContaining({ code: 'UNAUTHENTICATED' }) as unknown
const stack = new AsyncDisposableStack()
afterAll(() => stack.disposeAsync())

const stores: [string, () => Promise<TicketStore>][] = [
  [
    'Postgres',
    async () => {
      const databases = stack.use(await acquireShards({ count: 1 }))
      const catalog = postgres(databases.catalogUrl, { max: 2, onnotice: () => {} })
      stack.defer(() => catalog.end())
      return createPostgresTicketStore({ catalog })
    },
  ],
]
const url = redisUrl()
if (url !== null) {
  stores.push([
    'Redis',
    async () => {
      const redis = new Redis(url)
      stack.defer(() => redis.disconnect())
      return createRedisTicketStore({ redis, prefix: `test-${crypto.randomUUID()}:` })
    },
  ])
}

describe.each(stores)('tickets in %s', (_name, open) => {
  test('a ticket is good for one opening, and the stream it opened can be taken up again by its token', async () => {
    const store = await open()
    const tickets = createTickets({ stores: [{ letter: 'x', store }], logger: silentLogger })
    const { ticket, expiresAt } = await tickets.issue(acme)
    expect(expiresAt.getTime()).toBeGreaterThan(Date.now())
    const { principal, resumeToken } = await tickets.redeem(ticket)
    expect(principal).toEqual(acme)
    await expect(tickets.redeem(ticket)).rejects.toEqual(unauthenticated)
    expect(await tickets.resume(ticket, resumeToken)).toEqual(acme)
    expect(await tickets.resume(ticket, resumeToken)).toEqual(acme)
    await expect(tickets.resume(ticket, 'guess')).rejects.toEqual(unauthenticated)
  })

  test('of many who redeem it at once, one succeeds', async () => {
    const store = await open()
    const tickets = createTickets({ stores: [{ letter: 'x', store }], logger: silentLogger })
    const { ticket } = await tickets.issue(acme)
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => tickets.redeem(ticket)))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('it expires', async () => {
    const store = await open()
    const [hash, resume] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
    await store.put(hash, JSON.stringify(acme), 30)
    await expect.poll(() => store.claim(hash, resume, 1000).then((found) => found === undefined)).toBe(true)
    await store.put(Buffer.alloc(32, 3), JSON.stringify(acme), 60_000)
    expect(await store.claim(Buffer.alloc(32, 3), resume, 30)).toBe(JSON.stringify(acme))
    await expect.poll(() => store.resume(Buffer.alloc(32, 3), resume, 30), { interval: 60 }).toBeUndefined()
  })

  test('what is stored opens nothing', async () => {
    const store = await open()
    const tickets = createTickets({ stores: [{ letter: 'x', store }], logger: silentLogger })
    const seen: string[] = []
    const watched: TicketStore = {
      ...store,
      put: (hash, ...rest) => (seen.push(hash.toString('base64url')), store.put(hash, ...rest)),
    }
    const { ticket } = await createTickets({ stores: [{ letter: 'x', store: watched }], logger: silentLogger }).issue(
      acme,
    )
    expect(ticket).not.toContain(seen[0])
    await expect(tickets.redeem(`lwtx_${seen[0]}`)).rejects.toEqual(unauthenticated)
  })
})

test('where the first store is down, tickets go to the next and say so themselves', async () => {
  const databases = stack.use(await acquireShards({ count: 1 }))
  const catalog = postgres(databases.catalogUrl, { max: 2, onnotice: () => {} })
  stack.defer(() => catalog.end())
  const down = (): Promise<never> => Promise.reject(new Error('gone'))
  const tickets = createTickets({
    stores: [
      { letter: 'r', store: { put: down, claim: down, resume: down } },
      { letter: 'p', store: createPostgresTicketStore({ catalog }) },
    ],
    logger: silentLogger,
  })
  const { ticket } = await tickets.issue(acme)
  expect(ticket).toMatch(/^lwtp_/)
  expect((await tickets.redeem(ticket)).principal).toEqual(acme)
})

test('nobody gets a ticket without a key, and nonsense is refused without asking a store', async () => {
  const tickets = createTickets({ stores: [], logger: silentLogger })
  await expect(tickets.issue(anonymous)).rejects.toEqual(unauthenticated)
  await expect(tickets.issue(acme)).rejects.toMatchObject({ code: 'OVERLOADED' })
  for (const ticket of ['', 'x', 'lwtx_1', 'y'.repeat(5000)]) {
    await expect(tickets.redeem(ticket)).rejects.toEqual(unauthenticated)
  }
})

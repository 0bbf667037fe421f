import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { startEmbeddedPostgres } from '../../app/embedded/postgres.ts'
import { startRedis } from '../../app/embedded/redis.ts'
import { silentLogger } from '../../core/log.ts'
import { eventually } from '../support/feed.ts'
import { startProduct } from './product.ts'
import { startSubscriber } from './subscriber.ts'
import { ask, write } from './writer.ts'

/** Small by itself; `npm run torture` sets these for a long run. */
const seconds = Number(process.env['TORTURE_SECONDS'] ?? 6)
const subscriberCount = Number(process.env['TORTURE_SUBSCRIBERS'] ?? 12)
const companyCount = Number(process.env['TORTURE_COMPANIES'] ?? 4)
/** On a busy machine one restart has taken two minutes. */
const limitMs = seconds * 2_000 + 1_200_000
/** A long run says where it is, so that one which does not come to its end can be understood. */
const say = (text: string): void => void (seconds > 60 && process.stderr.write(`${new Date().toISOString()} ${text}\n`))

test(
  'every subscriber sees exactly its ledger, in order and once, while processes, Redis and Postgres are killed',
  { timeout: limitMs },
  async () => {
    await using stack = new AsyncDisposableStack()
    const dataDir = mkdtempSync(join(tmpdir(), 'ledgerway-torture-'))
    stack.defer(() => rmSync(dataDir, { recursive: true, force: true }))
    const postgres = stack.use(
      await startEmbeddedPostgres({ dataDir, shardCount: 2, replica: false, logger: silentLogger }),
    )
    const redis = stack.use(await startRedis({ dataDir, logger: silentLogger }))
    const env = {
      SHARDS: postgres.shards.map(({ name, primaryUrl }) => `${name}=${primaryUrl}`).join(','),
      CATALOG_URL: postgres.catalogUrl,
      ...(redis.kind === 'redis' ? { REDIS_URL: redis.url } : { REDIS_URL: 'none', JOBS_URL: postgres.jobsUrl }),
      WRAPPING_KEY: Buffer.alloc(32, 1).toString('base64'),
      POOL_MAX: '10',
    }
    const products = [
      stack.use(await startProduct({ ...env, DATA_DIR: join(dataDir, 'a') })),
      stack.use(await startProduct({ ...env, DATA_DIR: join(dataDir, 'b') })),
    ]
    const urls = (): string[] => products.map(({ url }) => url)

    const companies = Array.from({ length: companyCount }, (_, index) => `company-${index}`)
    for (const id of companies) {
      await ask(urls()[0] ?? '', 'mutation ($id: ID) { createCompany(input: { id: $id, name: "T" }) { position } }', {
        id,
      })
    }
    const subscribers = Array.from({ length: subscriberCount }, (_, index) => {
      const company = companies[index % companies.length] ?? ''
      return { company, ...stack.use(startSubscriber(company, urls)) }
    })
    const over = new AbortController()
    const writers = companies.map((company) => write(company, urls, over.signal))

    /** One after the other in random order, so that even a short run has each of them. */
    const crashes: [string, () => Promise<void> | void][] = [
      ...products.map((product, index): [string, () => Promise<void>] => [`process ${index}`, () => product.crash()]),
      ...(redis.kind === 'redis'
        ? [['Redis', () => kill(join(dataDir, 'redis', 'redis.pid'))] as [string, () => void]]
        : []),
      ...readdirSync(join(dataDir, 'postgres'))
        .filter((name) => /^shard-\d+$/.test(name))
        .map((name): [string, () => void] => [name, () => kill(join(dataDir, 'postgres', name, 'postmaster.pid'))]),
    ]
    const servers = new Set<string>()
    function kill(pidFile: string): void {
      if (killServer(pidFile)) servers.add(pidFile)
    }
    let crashed = 0
    const seen = ({ positions }: { positions: readonly number[] }): number => positions.length
    const sum = (a: number, b: number): number => a + b
    const end = Date.now() + seconds * 1_000
    do {
      // The first time each of them; a long run may end in the middle.
      for (const [name, crash] of crashes.toSorted(() => Math.random() - 0.5)) {
        if (crashed >= crashes.length && Date.now() >= end) break
        const began = Date.now()
        await crash()
        crashed += 1
        say(`killed ${name}, back after ${Date.now() - began} ms; ${subscribers.map(seen).reduce(sum)} events so far`)
        await sleep(300 + Math.random() * 700)
      }
    } while (Date.now() < end)
    over.abort()
    say(`${crashed} kills; waiting for the writers`)

    // The record of the company's creation, and what its writer knows to be there.
    const sizes = new Map((await Promise.all(writers)).map((written, index) => [companies[index], written + 1]))
    say(`${[...sizes.values()].reduce(sum)} records; waiting for the subscribers`)
    await eventually(() => {
      for (const { company, positions } of subscribers)
        expect(positions.length).toBeGreaterThanOrEqual(sizes.get(company) ?? 0)
    }, 600_000)
    for (const { company, positions } of subscribers) {
      expect(positions).toEqual(Array.from({ length: sizes.get(company) ?? 0 }, (_, index) => index))
    }
    const reconnects = subscribers.map((subscriber) => subscriber.reconnects()).reduce(sum)
    say(`${subscribers.map(seen).reduce(sum)} events, each once and in order, over ${reconnects} reconnects`)
    expect(servers.size).toBe(crashes.length - products.length)
    expect(reconnects).toBeGreaterThan(0)
  },
)

/** As `kill -9`; false where it is just being started again. Its supervisor starts it on the same port. */
function killServer(pidFile: string): boolean {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10)
    if (!(pid > 1)) return false
    process.kill(pid, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

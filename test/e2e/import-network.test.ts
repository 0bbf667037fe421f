import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openStore } from '../store/open-store.ts'
import { verifyStored } from '../store/stored-ledger.ts'
import { acquireDatabase, acquireShards } from '../support/postgres.ts'
import { unconfigured } from '../support/product.ts'
import { traderId } from '../../network/import-network.ts'

const root = new URL('../..', import.meta.url).pathname
const lineCount = 400
const hub = 7

/** Each trade of a network with a hub, as `demo/data/otc-trades.csv` has one; every pair once. */
const trades = Array.from({ length: lineCount }, (_, i) => {
  const [rater, ratee] = i % 4 === 0 ? [hub, 1_000 + i] : [100 + (i % 50), 1_000 + i]
  return `${rater},${ratee},${(i % 20) - 10},${1_300_000_000 + i}`
})

test('an import of a network that is killed goes on where it was, and a second run changes nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ledgerway-import-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'network.csv')
  await writeFile(file, `rater,ratee,rating,at\n${trades.join('\n')}\n`)
  await using servers = await acquireShards({ count: 2 })
  await using queues = await acquireDatabase()
  const env = {
    ...unconfigured(),
    DATA_DIR: join(folder, 'data'),
    SHARDS: servers.shards.map(({ name, primaryUrl }) => `${name}=${primaryUrl}`).join(','),
    CATALOG_URL: servers.catalogUrl,
    JOBS_URL: queues.url,
    REDIS_URL: 'none',
    DEPLOYMENT: 'test',
  }
  const start = (): ChildProcess =>
    spawn(process.execPath, ['app/cli.ts', 'import', '--network', file], { cwd: root, env, stdio: 'pipe' })
  const run = async (): Promise<{ created: number; companies: number; code: number | null }> => {
    const child = start()
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.stderr?.resume()
    const [code] = (await once(child, 'exit')) as [number | null]
    const [, companies, created] = /: (\d+) companies and (\d+) relationships imported, 0 bad/.exec(text) ?? []
    return { created: Number(created), companies: Number(companies), code }
  }

  await using store = await openStore(servers)
  // A seller who cannot be written yet: the import comes to no end before it is killed.
  const last = traderId(String(1_000 + lineCount - 1))
  const written = Promise.withResolvers<void>()
  const over = Promise.withResolvers<void>()
  onTestFinished(() => over.resolve())
  const holding = store.onPrimary(store.shardOf(last), (sql) =>
    sql.begin(async (tx) => {
      await tx`insert into ledger_heads (company_id) values (${last})`
      written.resolve()
      await over.promise
      throw new Error('undone')
    }),
  )
  holding.catch(written.reject)
  await written.promise

  const killed = start()
  onTestFinished(() => void killed.kill('SIGKILL'))
  const exited = once(killed, 'exit')
  // Buyers have their side by now, and some of the sellers theirs.
  let progress = ''
  for await (const chunk of killed.stderr ?? []) {
    progress += String(chunk)
    if (/import [2-9]0 %/.test(progress)) break
  }
  killed.kill('SIGKILL')
  await exited
  over.resolve()
  await expect(holding).rejects.toThrow('undone')

  const count = async () => {
    const parts = await store.broadcast(async (sql) => {
      const [row] = await sql<{ edges: number; records: number; companies: number }[]>`
        select (select count(*) from relationships) as edges, (select count(*) from companies) as companies,
          (select count(*) from ledger_records where kind like 'relationship.%') as records`
      return row
    })
    const of = (name: 'edges' | 'records' | 'companies') =>
      parts.reduce((sum, part) => sum + (part.ok ? (part.value?.[name] ?? 0) : Number.NaN), 0)
    return { edges: of('edges'), records: of('records'), companies: of('companies') }
  }
  const half = await count()
  expect(half.edges).toBeGreaterThan(0)
  expect(half.edges).toBeLessThan(2 * lineCount)

  const resumed = await run()
  expect(resumed).toMatchObject({ code: 0, companies: 51 + lineCount - half.companies })
  const whole = await count()
  expect(whole).toEqual({ edges: 2 * lineCount, records: 2 * lineCount, companies: 51 + lineCount })
  for (const trader of [hub, 101, 1_000, 1_001]) await verifyStored(store, traderId(String(trader)))

  expect(await run()).toEqual({ code: 0, companies: 0, created: 0 })
  expect(await count()).toEqual(whole)
})

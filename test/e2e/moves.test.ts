import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from 'graphql-ws'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { listenAgain } from '../support/listening.ts'
import { type Product, startProduct } from '../support/product.ts'

const root = new URL('../..', import.meta.url).pathname

interface JobSeen {
  readonly state: string
  readonly progress: number
  readonly result: unknown
  readonly error: string | null
}

/** The job at each change that was told, until it is done. */
async function followed(product: Product, id: string): Promise<JobSeen[]> {
  const client = createClient({
    url: product.url.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { 'x-api-key': product.adminKey },
    retryAttempts: 0,
  })
  const seen: JobSeen[] = []
  const query = 'subscription ($id: ID!) { jobChanged(id: $id) { state progress result error } }'
  for await (const { data } of client.iterate<{ jobChanged: JobSeen }>({ query, variables: { id } })) {
    if (data != null) seen.push(data.jobChanged)
  }
  await client.dispose()
  return seen
}

async function createCompany(product: Product, name: string): Promise<string> {
  const created = await product.graphql<{ createCompany: { company: { id: string } } }>(
    'mutation ($name: String!) { createCompany(input: { name: $name }) { company { id } } }',
    { name },
  )
  return created.data?.createCompany.company.id ?? ''
}

/** As a client should: under its key an append may be sent again, where the answer says that this is of use. */
async function append(product: Product, companyId: string, key: string): Promise<void> {
  for (;;) {
    const { errors } = await product.graphql(
      `mutation ($input: AppendRecordsInput!) { appendRecords(input: $input) { position } }`,
      { input: { companyId, records: [{ kind: 'note.added', source: 'test', stream: 'notes', data: {}, key }] } },
    )
    if (errors === undefined) return
    if (errors[0]?.extensions?.['retryable'] !== true) throw new Error(JSON.stringify(errors))
  }
}

/** A command on the product's data directory: how it ended, and what it wrote. */
async function commandLine(product: Product, ...args: string[]): Promise<{ code: number; output: string }> {
  const env = { ...process.env, DATA_DIR: product.dataDir, LOG_LEVEL: 'error' }
  const child = spawn(process.execPath, ['app/cli.ts', ...args], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, output }
}

async function shardOf(product: Product, id: string): Promise<string> {
  const { data } = await product.graphql<{ company: { shard: string } }>(
    'query ($id: ID!) { company(id: $id) { shard } }',
    {
      id,
    },
  )
  return data?.company.shard ?? ''
}

test('an administrator moves a company by mutation while it is written to, and follows the job', async () => {
  await using product = await startProduct({ env: { EMBEDDED_SHARDS: '2' } })
  const id = await createCompany(product, 'Moving')
  const from = await shardOf(product, id)
  const to = from === 'shard-1' ? 'shard-2' : 'shard-1'
  const move =
    'mutation ($id: ID!, $to: String!) { moveCompany(companyId: $id, to: $to) { id from to state job { id } } }'

  const made = await product.graphql<{ createApiKey: { key: string } }>(
    'mutation ($id: ID!) { createApiKey(input: { companyId: $id, label: "its own" }) { key } }',
    { id },
  )
  const own = { authorization: `Bearer ${made.data?.createApiKey.key}` }
  const refused = await product.graphql(move, { id, to }, own)
  expect(refused.errors?.map(({ extensions }) => extensions?.['code'])).toEqual(['FORBIDDEN'])

  const written: string[] = []
  const writer = { stopped: false }
  const writing = (async () => {
    while (!writer.stopped) {
      const key = `w${written.length}`
      await append(product, id, key)
      written.push(key)
    }
  })()
  // A test that fails must not leave its writer behind, nor fail once more for it.
  writing.catch(() => {})
  onTestFinished(() => {
    writer.stopped = true
    return writing.catch(() => {})
  })
  await expect.poll(() => written.length).toBeGreaterThan(10)

  const asked = await product.graphql<{ moveCompany: { id: string; job: { id: string } } }>(move, { id, to })
  expect(asked.errors).toBeUndefined()
  expect(asked.data?.moveCompany).toMatchObject({ from, to })
  const seen = await followed(product, asked.data?.moveCompany.job.id ?? '')
  expect(seen.at(-1)).toMatchObject({ state: 'COMPLETED', progress: 1, error: null, result: { from, to } })
  const progress = seen.map((job) => job.progress)
  expect(progress).toEqual(progress.toSorted((a, b) => a - b))

  const sofar = written.length
  await expect.poll(() => written.length).toBeGreaterThan(sofar + 10)
  writer.stopped = true
  await writing
  expect(await shardOf(product, id)).toBe(to)
  const ledger = await product.graphql<{
    company: { ledger: { size: number; records: { nodes: { key: string }[] } } }
  }>('query ($id: ID!) { company(id: $id) { ledger { size records(last: 100) { nodes { key } } } } }', { id })
  expect(ledger.errors).toBeUndefined()
  expect(ledger.data?.company.ledger.size).toBe(1 + written.length)
  expect(ledger.data?.company.ledger.records.nodes.map(({ key }) => key)).toEqual([null, ...written].slice(-100))

  const { data } = await product.graphql(
    'query ($id: ID!) { moves(companyId: $id) { company { name } from to error progress } }',
    {
      id,
    },
  )
  expect(data).toEqual({ moves: [{ company: { name: 'Moving' }, from, to, error: null, progress: 1 }] })
  const rebalanced = await product.graphql<{ rebalanceShards: { job: { id: string } } }>(
    'mutation { rebalanceShards { job { id } } }',
  )
  const rebalance = await followed(product, rebalanced.data?.rebalanceShards.job.id ?? '')
  expect(rebalance.at(-1)).toMatchObject({ state: 'COMPLETED', result: { buckets: 0 } })

  // The command line, beside it: what cannot be done, and what there is not to do, is said.
  expect(await commandLine(product, 'shards', 'move', 'nobody', '--to', 'shard-1')).toEqual({
    code: 1,
    output: 'ledgerway: There is no company nobody.\n',
  })
  expect(await commandLine(product, 'shards', 'pause')).toEqual({
    code: 0,
    output: 'nothing to pause: no move or rebalance is under way\n',
  })
})

test('a replica promoted by mutation takes the writes, also after a restart on which its port was taken', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerway-promoted-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const options = { dataDir, env: { EMBEDDED_SHARDS: '1' } }
  let id: string
  {
    await using product = await startProduct(options)
    id = await createCompany(product, 'Promoted')
    const promote = 'mutation { promoteReplica(shard: "shard-1") { id } }'
    const asked = await product.graphql<{ promoteReplica: { id: string } }>(promote)
    const seen = await followed(product, asked.data?.promoteReplica.id ?? '')
    expect(seen.at(-1)).toMatchObject({ state: 'COMPLETED', result: { shard: 'shard-1', lost: 'nothing' } })
    await append(product, id, 'after')
  }
  const ports = JSON.parse(await readFile(join(dataDir, 'postgres', 'ports.json'), 'utf8')) as Record<string, number>
  const other = createServer()
  await listenAgain(other, ports['shard-1-replica'] ?? 0)
  onTestFinished(() => void other.close())

  await using product = await startProduct(options)
  await append(product, id, 'restarted')
  const { data } = await product.graphql(
    'query ($id: ID!) { company(id: $id) { ledger { records { nodes { key } } } } shards { healthy replicas { name } } }',
    { id },
  )
  expect(data).toEqual({
    company: { ledger: { records: { nodes: [{ key: null }, { key: 'after' }, { key: 'restarted' }] } } },
    shards: [{ healthy: true, replicas: [{ name: 'replica-0' }] }],
  })
})

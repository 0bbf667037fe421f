import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cuttable } from '../support/cuttable.ts'
import { acquireDatabase, acquireShards } from '../support/postgres.ts'
import { startProduct } from '../support/product.ts'

test('a gateway by itself signs and wraps nothing, makes no key for it, and says which subgraphs do not answer', async () => {
  await using servers = await acquireShards({ count: 1 })
  await using queues = await acquireDatabase()
  const env = {
    SHARDS: servers.shards.map(({ name, primaryUrl }) => `${name}=${primaryUrl}`).join(','),
    CATALOG_URL: servers.catalogUrl,
    JOBS_URL: queues.url,
    REDIS_URL: 'none',
    SUBGRAPH_URLS: ['companies', 'records', 'ops'].map((name) => `${name}=http://127.0.0.1:9/graphql`).join(','),
  }
  await using gateway = await startProduct({ env, args: ['--roles=gateway'] })
  expect(readdirSync(join(gateway.dataDir, 'keys')).toSorted()).toEqual(['principal-signing.key'])
  expect(existsSync(join(gateway.dataDir, 'signed-checkpoints'))).toBe(false)
  const health = await fetch(new URL('/health', gateway.url))
  expect({ status: health.status, body: await health.json() }).toMatchObject({
    status: 200,
    body: { parts: { 'subgraph records': { ok: false, detail: 'it does not answer' } } },
  })
})

test('on external servers and without Redis everything runs, jobs in a database of their own', async () => {
  await using servers = await acquireShards({ count: 2 })
  await using queues = await acquireDatabase()
  const env = {
    SHARDS: servers.shards.map(({ name, primaryUrl }) => `${name}=${primaryUrl}`).join(','),
    CATALOG_URL: servers.catalogUrl,
    REDIS_URL: 'none',
  }
  // This user may not create databases, so it has to be told of one.
  await expect(startProduct({ env })).rejects.toThrow(/ledgerway: Without Redis, jobs need a database .* JOBS_URL/)
  await using product = await startProduct({ env: { ...env, JOBS_URL: queues.url } })
  expect(product.stderr()).toMatch(/^solo mode /m)
  const created = await product.graphql<{ createCompany: { company: { id: string } } }>(
    `mutation { createCompany(input: { name: "Acme" }) { company { id } } }`,
  )
  const companyId = created.data?.createCompany.company.id
  const submitted = await product.graphql<{ submitJob: { id: string } }>(
    `mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }`,
    { input: { name: 'verifyLedger', companyId } },
  )
  expect(submitted.errors).toBeUndefined()
  const job = () =>
    product.graphql<{ job: { state: string; result: unknown } }>(`query($id: ID!) { job(id: $id) { state result } }`, {
      id: submitted.data?.submitJob.id,
    })
  await expect
    .poll(async () => (await job()).data?.job)
    .toMatchObject({
      state: 'COMPLETED',
      result: { ok: true, size: 1 },
    })
})

test('a partial answer is never kept: the whole one follows as soon as the shard is back', async () => {
  await using servers = await acquireShards({ count: 2 })
  await using queues = await acquireDatabase()
  await using cable = await cuttable(servers.shards[1]?.primaryUrl ?? '')
  const urls = [servers.shards[0]?.primaryUrl, cable.url]
  await using product = await startProduct({
    env: {
      SHARDS: servers.shards.map(({ name }, i) => `${name}=${urls[i]}`).join(','),
      CATALOG_URL: servers.catalogUrl,
      JOBS_URL: queues.url,
      REDIS_URL: 'none',
    },
  })
  // Ids of their own, so that it is no chance on which shard each of them is.
  for (let i = 0; i < 8; i++) {
    const made = await product.graphql(
      `mutation ($id: ID!, $name: String!) { createCompany(input: { id: $id, name: $name }) { company { id } } }`,
      { id: `company-${i}`, name: `Company ${i}` },
    )
    expect(made.errors).toBeUndefined()
  }
  const list = () =>
    product.graphql<{ companies: { nodes: object[] } }>('{ companies(allowPartial: true) { nodes { name } } }')
  await cable.cut()
  for (let i = 0; i < 3; i++) {
    const part = await list()
    expect(part.errors).toBeUndefined()
    expect(part.extensions?.['partial']).toEqual({ shards: ['shard-2'] })
    expect(part.data?.companies.nodes.length).toBeLessThan(8)
    expect(part.headers.get('cache-control')).toBe('no-store')
    expect(part.headers.get('ledgerway-cache')).not.toBe('hit')
  }
  const whole = await product.graphql('{ companies { nodes { name } } }')
  expect(whole.errors?.[0]?.extensions?.['code']).toBe('SHARD_UNAVAILABLE')
  await cable.mend()
  await expect.poll(async () => (await list()).data?.companies.nodes.length).toBe(8)
  expect((await list()).extensions?.['partial']).toBeUndefined()
})

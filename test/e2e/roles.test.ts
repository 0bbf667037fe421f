import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Product, startProduct } from '../support/product.ts'

const reading = `query($id: ID!) {
  company(id: $id) { id name sector { name } ledger { origin records(first: 5) { nodes { position kind stream data } } } webhooks { url kinds } }
  companies(first: 5) { nodes { name ledger { records(last: 1) { nodes { kind position } } } webhooks { url } } }
  missing: company(id: "nobody") { name }
}`

async function fill(product: Product): Promise<string> {
  const created = await product.graphql<{ createCompany: { company: { id: string } } }>(
    `mutation { createCompany(input: { name: "Acme", identifiers: [{ scheme: "symbol", value: "ACM" }] }) { company { id } } }`,
  )
  const id = created.data?.createCompany.company.id ?? ''
  const written = await product.graphql(
    `mutation($id: ID!) {
      appendRecords(input: { companyId: $id, records: [{ kind: "order.placed", source: "shop", stream: "order-1", data: { n: 1 } }] }) { position }
      createWebhook(input: { companyId: $id, url: "http://127.0.0.1:9/hook", kinds: ["order.placed"] }) { secret }
    }`,
    { id },
  )
  expect(written.errors).toBeUndefined()
  return id
}

test('the same queries give the same answers with every role in one process and with roles apart', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ledgerway-roles-'))
  try {
    await using records = await startProduct({ dataDir, args: ['--roles=records,workers'] })
    await using companies = await startProduct({ dataDir, args: ['--roles=companies'] })
    await using apart = await startProduct({
      dataDir,
      args: ['--roles=gateway,ops'],
      env: { SUBGRAPH_URLS: `records=${records.url},companies=${companies.url}`, DEBUG_EXTENSIONS: '1' },
    })
    const id = await fill(apart)
    const spread = await apart.graphql(reading, { id })
    expect(spread.errors).toBeUndefined()
    expect(Object.keys(spread.extensions?.['statements'] ?? {}).toSorted()).toEqual(['companies', 'ops', 'records'])

    await using swapped = await startProduct({
      dataDir,
      args: ['--roles=gateway,ops'],
      env: { SUBGRAPH_URLS: `records=${companies.url},companies=${records.url}` },
    })
    const health = await fetch(new URL('/health', swapped.url))
    expect({ status: health.status, body: await health.json() }).toMatchObject({
      status: 503,
      body: {
        parts: {
          'subgraph records': { ok: false, detail: 'its URL leads to the subgraph "companies"' },
          'subgraph companies': { ok: false, detail: 'its URL leads to the subgraph "records"' },
        },
      },
    })
    expect((await fetch(new URL('/health', apart.url))).status).toBe(200)
    expect(records.stderr()).toContain(`subgraph records ${records.url}\n`)
    await swapped.stop()

    await apart.stop()
    await companies.stop()
    await records.stop()
    await using together = await startProduct({ dataDir })
    const whole = await together.graphql(reading, { id })
    expect(whole.data).toEqual(spread.data)
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
})

test('a supergraph that cannot be read stops the start with a line that says so, and nothing else', async () => {
  const refused = startProduct({ env: { SUPERGRAPH: '/nowhere.graphql', LOG_LEVEL: 'silent' } })
  // Where the machine has no Redis, that is said before.
  await expect(refused).rejects.toThrow(
    /before it was ready:\n(?:solo mode [^\n]*\n)?ledgerway: SUPERGRAPH cannot be read: ENOENT[^\n]*\n$/,
  )
})

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeServices } from '@apollo/composition'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { graphql, parse } from 'graphql'
import { expect, test } from 'vitest'
import { postGraphql, type Product, startProduct } from '../support/product.ts'

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

test("another supergraph is served beside ours' plumbing, from its own subgraphs over HTTP", async () => {
  const typeDefs = parse(`
    extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
    type Query { product(id: ID!): Product }
    type Product @key(fields: "id") { id: ID! title: String! }`)
  const schema = buildSubgraphSchema([
    {
      typeDefs,
      resolvers: { Query: { product: (_: unknown, { id }: { id: string }) => ({ id, title: `No. ${id}` }) } },
    },
  ])
  const subgraph = createServer((request, response) => {
    void (async () => {
      const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>)
      const { query, variables } = JSON.parse(Buffer.concat(chunks).toString('utf8'))
      const result = await graphql({ schema, source: query, variableValues: variables })
      response.setHeader('content-type', 'application/json').end(JSON.stringify(result))
    })()
  })
  await new Promise<void>((resolve) => subgraph.listen(0, '127.0.0.1', resolve))
  const directory = await mkdtemp(join(tmpdir(), 'ledgerway-supergraph-'))
  try {
    const url = `http://127.0.0.1:${(subgraph.address() as AddressInfo).port}/`
    const { supergraphSdl = '' } = composeServices([{ name: 'products', url, typeDefs }])
    const file = join(directory, 'supergraph.graphql')
    await writeFile(file, supergraphSdl)
    await using product = await startProduct({ args: ['--supergraph', file] })
    const answer = await product.graphql('{ product(id: "7") { id title } }')
    expect(answer).toMatchObject({ status: 200, data: { product: { id: '7', title: 'No. 7' } } })
    const unknown = await postGraphql(
      product.url,
      { query: '{ company(id: "x") { id } }' },
      {
        authorization: `Bearer ${product.adminKey}`,
      },
    )
    expect(unknown.errors?.[0]?.extensions?.['code']).toBe('GRAPHQL_VALIDATION_FAILED')
  } finally {
    subgraph.close()
    await rm(directory, { recursive: true, force: true })
  }
})

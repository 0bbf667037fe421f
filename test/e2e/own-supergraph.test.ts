import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { composeServices } from '@apollo/composition'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { graphql, parse } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { postGraphql, startProduct } from '../support/product.ts'

const typeDefs = parse(`
  extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])
  type Query { product(id: ID!): Product }
  type Product @key(fields: "id") { id: ID! title: String! }`)
const schema = buildSubgraphSchema([
  { typeDefs, resolvers: { Query: { product: (_: unknown, { id }: { id: string }) => ({ id, title: `No. ${id}` }) } } },
])
const seen: IncomingHttpHeaders[] = []
const subgraph = createServer((request, response) => {
  seen.push(request.headers)
  void (async () => {
    const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>)
    const { query, variables } = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    const result = await graphql({ schema, source: query, variableValues: variables })
    response.setHeader('content-type', 'application/json').end(JSON.stringify(result))
  })()
})

let directory: string
let file: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ledgerway-supergraph-'))
  file = join(directory, 'supergraph.graphql')
  await new Promise<void>((resolve) => subgraph.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(subgraph.address() as AddressInfo).port}/`
  const { supergraphSdl = '' } = composeServices([{ name: 'products', url, typeDefs }])
  await writeFile(file, supergraphSdl)
})
afterAll(async () => {
  subgraph.close()
  await rm(directory, { recursive: true, force: true })
})

const query = '{ product(id: "7") { id title } }'
const expected = { status: 200, data: { product: { id: '7', title: 'No. 7' } } }

test("another supergraph is served beside ours' plumbing, from its own subgraphs over HTTP, to who has a key", async () => {
  await using product = await startProduct({ args: ['--supergraph', file] })
  expect(await product.graphql(query)).toMatchObject(expected)
  const foreign = await product.graphql('{ company(id: "x") { id } }')
  expect(foreign.errors?.[0]?.extensions?.['code']).toBe('GRAPHQL_VALIDATION_FAILED')
  const nobody = await postGraphql(product.url, { query })
  expect(nobody).toMatchObject({ status: 401 })
})

test('another supergraph is served to everybody where that is asked for, with no database and no key', async () => {
  const dataDir = join(directory, 'never-made')
  await using product = await startProduct({
    dataDir,
    args: ['--supergraph', file, '--access', 'open', '--subgraph-headers', 'x-tenant'],
  })
  expect(product.stderr()).toContain(`OPEN ACCESS: whoever reaches ${product.url} may run every operation`)
  const health = await fetch(new URL('/health', product.url))
  expect(await health.json()).toEqual({ status: 'ready', parts: { supergraph: { ok: true } } })

  const answer = await postGraphql(product.url, { query }, { 'x-tenant': 'blue', authorization: 'Bearer secret' })
  expect(answer).toMatchObject(expected)
  expect(seen.at(-1)).toMatchObject({ 'x-tenant': 'blue' })
  expect(seen.at(-1)).not.toHaveProperty('authorization')

  const tiles = await fetch(new URL('/ledger/acme/checkpoint', product.url))
  expect(tiles.status).toBe(404)
  await expect(access(dataDir)).rejects.toThrow('ENOENT')
  expect(await product.stop('SIGTERM')).toBe(0)
})

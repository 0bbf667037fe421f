import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../../app/config.ts'
import { supergraphSource } from '../../app/supergraph.ts'
import { silentLogger } from '../../core/log.ts'
import { supergraphSdl } from '../../schema/sdl.ts'

/** The far end of the network: what GraphOS answers a gateway that asks for its supergraph. */
const asked: { apiKey?: string; ref?: string }[] = []
const uplink = createServer((request, response) => {
  void (async () => {
    const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>)
    asked.push(JSON.parse(Buffer.concat(chunks).toString('utf8')).variables)
    const routerConfig = {
      __typename: 'RouterConfigResult',
      id: '2026-01-01T00:00:00Z',
      supergraphSdl: supergraphSdl(),
      minDelaySeconds: 30,
    }
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ data: { routerConfig } }))
  })()
})
beforeAll(() => new Promise<void>((resolve) => uplink.listen(0, '127.0.0.1', resolve)))
afterAll(() => void uplink.close())

test('uplink delivers the supergraph through ApolloGateway', async () => {
  const config = readConfig(['--supergraph', 'uplink'], {
    APOLLO_KEY: 'service:ledgerway:secret',
    APOLLO_GRAPH_REF: 'ledgerway@current',
    APOLLO_UPLINK_ENDPOINTS: `http://127.0.0.1:${(uplink.address() as AddressInfo).port}/`,
  })
  const { sdl, stop } = await supergraphSource(config, silentLogger).start(() => undefined)
  await stop()
  expect(sdl).toBe(supergraphSdl())
  expect(asked[0]).toMatchObject({ apiKey: 'service:ledgerway:secret', ref: 'ledgerway@current' })
})

test('uplink without its key is refused in words', () => {
  expect(() => supergraphSource(readConfig(['--supergraph', 'uplink'], {}), silentLogger)).toThrow(/APOLLO_KEY/)
})

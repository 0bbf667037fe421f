import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApolloServer } from '@apollo/server'
import { parse } from 'graphql'
import { describe, expect, test } from 'vitest'
import { silentLogger } from '../../../core/log.ts'
import type { RequestContext } from '../../../core/request.ts'
import { createFederatedGateway } from '../../../gateway/executor/gateway.ts'
import { fileSource, urlSource, type SupergraphSource } from '../../../gateway/planner/supergraph-source.ts'
import { composeText, localSubgraphs, requestContext, type Subgraphs } from './network.ts'

const before: Subgraphs = {
  a: { sdl: 'type Query { hello: String }', resolvers: { Query: { hello: () => 'world' } } },
}
const after: Subgraphs = {
  a: {
    sdl: 'type Query { hello: String bye: String }',
    resolvers: { Query: { hello: () => 'world', bye: () => 'moon' } },
  },
}

function changingSource(sdl: string): SupergraphSource & { change(sdl: string): void } {
  let told: ((sdl: string) => void) | undefined
  return {
    description: 'the test',
    start(onChange) {
      told = onChange
      return Promise.resolve({ sdl, stop: () => Promise.resolve() })
    },
    change: (next) => told?.(next),
  }
}

describe('a supergraph in service', () => {
  test('is replaced under load without a failed request, and the new one is warm', async () => {
    const source = changingSource(composeText(before))
    await using federated = createFederatedGateway({
      supergraph: source,
      executor: localSubgraphs(after).executor,
      logger: silentLogger,
    })
    const server = new ApolloServer<RequestContext>({ gateway: federated.gateway })
    await server.start()
    const ask = async (query: string): Promise<unknown> => {
      const { body } = await server.executeOperation({ query }, { contextValue: requestContext() })
      return body.kind === 'single' ? JSON.parse(JSON.stringify(body.singleResult)) : body
    }
    const stop = new AbortController()
    let asked = 0
    const load = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (!stop.signal.aborted) {
          expect(await ask('{ hello }')).toEqual({ data: { hello: 'world' } })
          asked += 1
          await new Promise(setImmediate)
        }
      }),
    )
    await expect.poll(() => asked).toBeGreaterThan(50)
    const { supergraphId } = federated.health()
    source.change(composeText(after))
    await federated.settled()
    const since = asked
    await expect.poll(() => asked).toBeGreaterThan(since + 50)
    stop.abort()
    await load
    expect(federated.health().supergraphId).not.toBe(supergraphId)
    expect(federated.health().operations).toBe(1)
    expect(await ask('{ bye }')).toEqual({ data: { bye: 'moon' } })
    await server.stop()
  })

  test('goes on when a bad one is offered, and says so', async () => {
    const source = changingSource(composeText(before))
    await using federated = createFederatedGateway({
      supergraph: source,
      executor: localSubgraphs(before).executor,
      logger: silentLogger,
    })
    await federated.load()
    const { supergraphId } = federated.health()
    source.change('type Query { broken')
    await federated.settled()
    expect(federated.health()).toMatchObject({
      supergraphId,
      refused: { reason: expect.stringMatching(/Syntax Error/) },
    })
    source.change(composeText(after))
    await federated.settled()
    expect(federated.health().refused).toBeUndefined()
    expect(federated.health().supergraphId).not.toBe(supergraphId)
  })

  test('that is bad from the start is an error', async () => {
    const federated = createFederatedGateway({
      supergraph: changingSource('nothing good'),
      executor: localSubgraphs(before).executor,
      logger: silentLogger,
    })
    await expect(federated.load()).rejects.toThrow(/Syntax Error/)
  })

  test('keeps a bounded number of compiled operations', async () => {
    await using federated = createFederatedGateway({
      supergraph: changingSource(composeText(before)),
      executor: localSubgraphs(before).executor,
      logger: silentLogger,
      operationsMax: 3,
    })
    await federated.load()
    for (let count = 0; count < 10; count++) {
      await federated.execute({ document: parse(`{ alias${count}: hello }`), context: requestContext() })
    }
    expect(federated.health().operations).toBe(3)
  })
})

describe('where a supergraph comes from', () => {
  test('a watched file is read again when it is replaced', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ledgerway-supergraph-'))
    const path = join(folder, 'supergraph.graphql')
    await writeFile(path, 'one')
    const seen: string[] = []
    const source = await fileSource(path, { watch: true, logger: silentLogger }).start((sdl) => seen.push(sdl))
    expect(source.sdl).toBe('one')
    await writeFile(join(folder, 'next'), 'two')
    await rename(join(folder, 'next'), path)
    await expect.poll(() => seen.at(-1)).toBe('two')
    await source.stop()
    await rm(folder, { recursive: true })
  })

  test('a file that links to one in a folder that is replaced, as volumes of Kubernetes do, is followed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'supergraph-'))
    const path = join(folder, 'supergraph.graphql')
    for (const text of ['one', 'two']) {
      await mkdir(join(folder, text))
      await writeFile(join(folder, text, 'supergraph.graphql'), text)
    }
    await symlink('one', join(folder, 'data'))
    await symlink('data/supergraph.graphql', path)
    const seen: string[] = []
    const source = await fileSource(path, { watch: true, logger: silentLogger, lookAgainMs: 10 }).start((sdl) =>
      seen.push(sdl),
    )
    expect(source.sdl).toBe('one')
    await symlink('two', join(folder, 'next'))
    await rename(join(folder, 'next'), join(folder, 'data'))
    await expect.poll(() => seen).toEqual(['two'])
    await source.stop()
    await rm(folder, { recursive: true })
  })

  test('a URL is polled, and an unchanged supergraph is not sent again', async () => {
    let text = 'one'
    const statuses: number[] = []
    const server = createServer((request, response) => {
      const etag = `"${text}"`
      response.statusCode = request.headers['if-none-match'] === etag ? 304 : 200
      statuses.push(response.statusCode)
      response.setHeader('etag', etag)
      response.end(response.statusCode === 304 ? undefined : text)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/supergraph`
    const seen: string[] = []
    const source = await urlSource({ url, intervalMs: 5, logger: silentLogger }).start((sdl) => seen.push(sdl))
    expect(source.sdl).toBe('one')
    await expect.poll(() => statuses.slice(0, 3)).toEqual([200, 304, 304])
    expect(seen).toEqual([])
    text = 'two'
    await expect.poll(() => seen).toEqual(['two'])
    await source.stop()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
})

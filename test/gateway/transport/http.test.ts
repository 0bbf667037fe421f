import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { isAppError } from '../../../core/errors.ts'
import { parseCompanyId } from '../../../core/ids.ts'
import type { RequestContext } from '../../../core/request.ts'
import type { SubgraphRequest } from '../../../core/subgraph-executor.ts'
import { createSharing } from '../../../gateway/executor/sharing.ts'
import { createHttpExecutor, type HttpExecutorOptions } from '../../../gateway/transport/http.ts'
import { requestContext } from '../executor/network.ts'
import { serve, type Handler } from './server.ts'

const ok = '{"data":{"hello":"wörld"}}'

function request(over: Partial<SubgraphRequest> = {}): SubgraphRequest {
  return { subgraph: 'greeter', kind: 'query', query: '{ hello }', context: requestContext(), ...over }
}

async function withExecutor(
  handle: Handler,
  use: (
    ask: (over?: Partial<SubgraphRequest>) => Promise<unknown>,
    tools: { connections: () => number; state: () => string },
  ) => Promise<void>,
  options: Partial<HttpExecutorOptions> = {},
): Promise<void> {
  await using server = await serve(handle)
  await using executor = createHttpExecutor({ subgraph: 'greeter', url: server.url, ...options })
  await use(
    (over) => {
      const asked = request(over)
      return executor.execute(asked, asked.context.signal)
    },
    { connections: server.connections, state: executor.state },
  )
}

const codeOf = (error: unknown): string => (isAppError(error) ? error.code : 'none')

describe('asking a subgraph over HTTP', () => {
  test('a connection is used again, one request at a time', async () => {
    await withExecutor(
      (_request, response) => response.end(ok),
      async (ask, { connections }) => {
        for (let count = 0; count < 5; count++) expect(await ask()).toEqual({ data: { hello: 'wörld' } })
        expect(connections()).toBe(1)
        await Promise.all([ask(), ask(), ask()])
        expect(connections()).toBe(3)
      },
    )
  })

  test('no more connections are opened than allowed; the rest waits', async () => {
    await withExecutor(
      (_request, response) => setImmediate(() => response.end(ok)),
      async (ask, { connections }) => {
        await Promise.all(Array.from({ length: 20 }, () => ask()))
        expect(connections()).toBe(2)
      },
      { connections: 2 },
    )
  })

  test.each([
    ['chunked', (response) => response.write('{"data":{"hello"'), (response) => response.end(':"wörld"}}')],
    ['gzip', (response) => response.setHeader('content-encoding', 'gzip'), (response) => response.end(gzipSync(ok))],
    [
      'br',
      (response) => response.setHeader('content-encoding', 'br'),
      (response) => response.end(brotliCompressSync(ok)),
    ],
    [
      'its end told by the end of the connection',
      (response) => response.setHeader('connection', 'close'),
      (response) => response.end(ok),
    ],
  ] satisfies [string, (response: Parameters<Handler>[1]) => unknown, (response: Parameters<Handler>[1]) => unknown][])(
    'answers may come %s',
    async (_name, first, then) => {
      await withExecutor(
        (_request, response) => {
          first(response)
          setImmediate(() => then(response))
        },
        async (ask) => {
          expect(await ask()).toEqual({ data: { hello: 'wörld' } })
          expect(await ask()).toEqual({ data: { hello: 'wörld' } })
        },
      )
    },
  )

  test('a subgraph that does not answer in time is given up at the deadline', async () => {
    await withExecutor(
      () => undefined,
      async (ask) => {
        const failure = await ask({ context: requestContext({ deadlineMs: Date.now() + 80 }) }).catch(codeOf)
        expect(failure).toBe('DEADLINE_EXCEEDED')
      },
    )
  })

  test('when the client leaves, the subgraph sees its request cancelled', async () => {
    const gone = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    await withExecutor(
      (incoming) => {
        incoming.socket.once('close', () => gone.resolve())
        arrived.resolve()
      },
      async (ask) => {
        const client = new AbortController()
        const answer = ask({ context: requestContext({ signal: client.signal }) }).catch(codeOf)
        await arrived.promise
        client.abort()
        expect(await answer).toBe('CANCELLED')
        await gone.promise
      },
    )
  })

  test('a read that found the connection lost is tried again, a mutation never', async () => {
    let asked = 0
    const handle: Handler = (incoming, response) => {
      asked += 1
      if (asked === 1) incoming.socket.destroy()
      else response.end(ok)
    }
    await withExecutor(handle, async (ask) => {
      expect(await ask()).toEqual({ data: { hello: 'wörld' } })
      expect(asked).toBe(2)
    })
    asked = 0
    await withExecutor(handle, async (ask) => {
      expect(await ask({ kind: 'mutation', query: 'mutation { hello }' }).catch(codeOf)).toBe('SUBGRAPH_UNAVAILABLE')
      expect(asked).toBe(1)
    })
  })

  test('a subgraph that hangs is left alone as one that fails, and only one request finds out how it is', async () => {
    const told: string[] = []
    let hangs = false
    let hanging = 0
    await withExecutor(
      (incoming) => {
        if (hangs) hanging += 1
        else incoming.socket.destroy()
      },
      async (ask, { state }) => {
        for (let count = 0; count < 60 && state() === 'closed'; count++) await ask().catch(codeOf)
        hangs = true
        const soon = (): Promise<unknown> =>
          ask({ context: requestContext({ deadlineMs: Date.now() + 1_500 }) }).catch(codeOf)
        const asking: Promise<unknown>[] = []
        const asked = (): number => {
          asking.push(soon())
          return hanging
        }
        await expect.poll(asked).toBe(1)
        const answers = await Promise.all([...asking, soon()])
        expect(answers.filter((code) => code === 'DEADLINE_EXCEEDED')).toHaveLength(1)
        expect(answers.filter((code) => code === 'SUBGRAPH_UNAVAILABLE')).toHaveLength(answers.length - 1)
        expect(state()).toBe('open')
        expect(told).toEqual(['open'])
      },
      { retries: 0, hangMs: 100, onState: (state) => told.push(state) },
    )
  })

  test('why a subgraph is left alone is told in words', async () => {
    const told: unknown[] = []
    await withExecutor(
      (_request, response) => response.writeHead(502).end('<html>no</html>'),
      async (ask, { state }) => {
        for (let count = 0; count < 60 && state() === 'closed'; count++) await ask().catch(codeOf)
      },
      { retries: 0, onState: (...change) => told.push(change) },
    )
    expect(told).toEqual([['open', 'HTTP status 502']])
  })

  test('a subgraph that keeps failing is left alone for a while', async () => {
    let asked = 0
    const told: string[] = []
    await withExecutor(
      (incoming) => {
        asked += 1
        incoming.socket.destroy()
      },
      async (ask, { state }) => {
        for (let count = 0; count < 60 && state() === 'closed'; count++) await ask().catch(codeOf)
        expect(state()).toBe('open')
        const before = asked
        expect(await ask().catch(codeOf)).toBe('SUBGRAPH_UNAVAILABLE')
        expect(asked).toBe(before)
        expect(told).toEqual(['open'])
      },
      { retries: 0, onState: (state) => told.push(state) },
    )
  })

  test('an error page of a proxy is no answer; GraphQL errors are one, whatever the status', async () => {
    let body = '<html>Bad Gateway</html>'
    await withExecutor(
      (_request, response) => {
        response.statusCode = 502
        response.end(body)
      },
      async (ask) => {
        expect(await ask().catch(codeOf)).toBe('SUBGRAPH_UNAVAILABLE')
        body = '{"errors":[{"message":"the shard is down","extensions":{"code":"SHARD_UNAVAILABLE"}}]}'
        expect(await ask()).toEqual(JSON.parse(body))
      },
      { retries: 0 },
    )
  })

  test('identical reads in flight are one request: of one principal, and of all with the same rights where it is public', async () => {
    let requests = 0
    const held: (() => void)[] = []
    await withExecutor(
      (_request, response) => {
        requests += 1
        held.push(() => response.end(ok))
      },
      async (ask) => {
        const as = (name: string, scopes: string[], isPublic: boolean): Promise<unknown> => {
          const principal = { kind: 'company', companyId: parseCompanyId(name), keyId: name, scopes } as const
          return ask({ isPublic, context: requestContext({ principal }) })
        }
        const all = [as('a', ['*'], true), as('b', ['*'], true), as('c', [], true), ask({ isPublic: true })]
        all.push(as('a', ['*'], false), as('a', ['*'], false), as('b', ['*'], false))
        await expect.poll(() => requests).toBe(5)
        for (const release of held) release()
        for (const answer of await Promise.all(all)) expect(answer).toEqual({ data: { hello: 'wörld' } })
        expect(requests).toBe(5)
      },
      { sharing: createSharing({ queries: false, reads: true }) },
    )
  })

  test('an answer that is too long is refused', async () => {
    await withExecutor(
      (_request, response) => response.end(`{"data":{"hello":"${'x'.repeat(5000)}"}}`),
      async (ask) => expect(await ask().catch(codeOf)).toBe('SUBGRAPH_UNAVAILABLE'),
      { answerBytesMax: 1000, retries: 0 },
    )
  })

  test("a client's header keeps its bytes, whatever is in the body", async () => {
    const seen: unknown[] = []
    await withExecutor(
      (incoming, response, body) => {
        seen.push([incoming.headers['x-user'], JSON.parse(body).variables.name])
        response.end(ok)
      },
      async (ask) => {
        const context = requestContext({ headers: { 'x-user': 'Ren\xc3\xa9' } })
        for (const name of ['Rene', 'René']) await ask({ context, variables: { name } })
      },
      { passOn: ['x-user'] },
    )
    expect(seen).toEqual([
      ['Ren\xc3\xa9', 'Rene'],
      ['Ren\xc3\xa9', 'René'],
    ])
  })

  test("foreign subgraphs get the client's headers of the allow list and no others", async () => {
    let seen: Record<string, unknown> = {}
    await withExecutor(
      (incoming, response) => {
        seen = incoming.headers
        response.end(ok)
      },
      async (ask) => {
        const headers = { 'x-tenant': 'acme', authorization: 'Bearer secret', cookie: 'a=b' }
        await ask({ context: requestContext({ headers }) })
      },
      { passOn: ['x-tenant'], fixed: { 'x-api-key': 'k' } },
    )
    expect(seen).toMatchObject({ 'x-tenant': 'acme', 'x-api-key': 'k', 'content-type': 'application/json' })
    expect(seen).not.toHaveProperty('authorization')
    expect(seen).not.toHaveProperty('cookie')
    expect(seen).not.toHaveProperty('ledgerway-request-id')
  })

  test('a header that could smuggle another is not sent', async () => {
    await withExecutor(
      (_request, response) => response.end(ok),
      async (ask) => {
        const headers = { 'x-tenant': 'acme\r\nx-admin: yes' }
        await expect(ask({ context: requestContext({ headers }) })).rejects.toThrow(/cannot be sent/)
      },
      { passOn: ['x-tenant'] },
    )
  })

  test('a fetch after a write of the same operation asks for the state that includes it', async () => {
    const seen: unknown[] = []
    const context = requestContext({})
    await withExecutor(
      (incoming, response) => {
        seen.push(incoming.headers['ledgerway-position'])
        response.end('{"data":{"hello":"x"},"extensions":{"ledgerway":{"written":["first"]}}}')
      },
      async (ask) => {
        await ask({ context, kind: 'mutation' })
        await ask({ context })
      },
      { authorize: () => Promise.resolve('Bearer signed') },
    )
    expect(seen).toEqual([undefined, 'first'])
  })

  test('a subgraph has less time than its request, so that what others gave is still answered', async () => {
    let deadline: unknown
    await withExecutor(
      (incoming, response) => {
        deadline = incoming.headers['ledgerway-deadline']
        response.end(ok)
      },
      (ask) => ask({ context: requestContext({ deadlineMs: Date.now() + 20_000 }) }).then(() => undefined),
      { authorize: () => 'Bearer signed' },
    )
    expect(Number(deadline)).toBeGreaterThan(0)
    expect(Number(deadline)).toBeLessThanOrEqual(19_800)
  })

  test('our own subgraphs learn who asks, where and until when, and tell what they did', async () => {
    let seen: Record<string, unknown> = {}
    const context: RequestContext = requestContext({ requestId: 'r-1', position: 'here' })
    await withExecutor(
      (incoming, response) => {
        seen = incoming.headers
        response.end(
          '{"data":{"hello":"x"},"extensions":{"ledgerway":{"statements":{"greeter":{"s1":2}},"written":["token"]}}}',
        )
      },
      async (ask) => {
        expect(await ask({ context })).toEqual({ data: { hello: 'x' }, extensions: {} })
      },
      { authorize: () => Promise.resolve('Bearer signed') },
    )
    expect(seen).toMatchObject({
      authorization: 'Bearer signed',
      'ledgerway-request-id': 'r-1',
      'ledgerway-position': 'here',
    })
    expect(Number(seen['ledgerway-deadline'])).toBeGreaterThan(1_000)
    expect(context.statements.totals()).toEqual({ greeter: { s1: 2 } })
    expect(context.written).toEqual(['token'])
  })
})

describe('a server that does not keep to HTTP', () => {
  const answers: [string, string][] = [
    ['two lengths', `HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabc`],
    ['length and chunks', `HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['more than it said', `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n`],
    ['no status line', `hello\r\n\r\n`],
    ['a chunk without size', `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`],
    ['less than it said', `HTTP/1.1 200 OK\r\ncontent-length: 200\r\n\r\n{}`],
  ]
  test.each(answers)('%s: the connection is given up', async (_name, bytes) => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end(bytes))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    await using executor = createHttpExecutor({ subgraph: 'greeter', url, retries: 0 })
    const asked = request()
    expect(await executor.execute(asked, asked.context.signal).catch(codeOf)).toBe('SUBGRAPH_UNAVAILABLE')
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
})

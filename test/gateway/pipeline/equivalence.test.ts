import { ApolloServer, type ApolloServerPlugin, HeaderMap, type HTTPGraphQLRequest } from '@apollo/server'
import { ApolloServerPluginCacheControlDisabled } from '@apollo/server/plugin/disabled'
import { GraphQLError } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../core/log.ts'
import type { RequestContext } from '../../../core/request.ts'
import { stringifyResult } from '../../../gateway/executor/answer.ts'
import { createFederatedGateway } from '../../../gateway/executor/gateway.ts'
import { createHttpFront } from '../../../gateway/pipeline/http-front.ts'
import { textSource } from '../../../gateway/planner/supergraph-source.ts'
import { composeText, localSubgraphs, requestContext } from '../executor/network.ts'

/**
 * Every request is answered by Apollo Server itself and by the shorter pipeline, and everything that can be seen of the
 * two is compared: status, headers, body, and what a plugin is called with at each of its hooks.
 */
const definitions = {
  things: {
    sdl: `
      type Query { thing(id: ID!, size: Int = 3): Thing  bad: String  told: String  plain: String! }
      type Mutation { make(name: String!): Thing! }
      type Thing @key(fields: "id") { id: ID! name: String }
    `,
    resolvers: {
      Query: {
        thing: (_: unknown, { id, size }: { id: string; size: number }) => ({ id, name: `${id}${size}` }),
        bad: () => {
          throw new Error('it broke')
        },
        told: () => {
          throw new GraphQLError('not found', { extensions: { code: 'NOT_FOUND' } })
        },
        plain: () => {
          throw new Error('no value for what may not be null')
        },
      },
      Mutation: { make: (_: unknown, { name }: { name: string }) => ({ id: 'new', name }) },
    },
  },
}

const queries = [
  '{ thing(id: "1") { id name } }',
  'query Named($id: ID!, $size: Int) { thing(id: $id, size: $size) { __typename name } }',
  'query A { thing(id: "a") { id } } query B($full: Boolean!) { thing(id: "b") { id name @include(if: $full) } }',
  'mutation Make($name: String!) { make(name: $name) { id name } }',
  '{ bad thing(id: "2") { id } }',
  '{ told }',
  '{ plain }',
  '{ __typename __schema { queryType { name } } }',
  'query ($id: ID!) { again: thing(id: $id) { name } }',
]
const bodies: Record<string, unknown>[] = [
  {},
  { variables: null, operationName: null, extensions: null },
  { variables: { id: '7', size: 2, name: 'n', full: true }, extensions: { client: 'x' } },
  { variables: { id: [1], size: 'many', name: 4 } },
  { operationName: 'B', variables: { full: false } },
  { operationName: 'Named', variables: { id: '5' } },
  { operationName: '' },
  { variables: 'text' },
  { variables: [] },
  { operationName: 5 },
  { extensions: [] },
  { extensions: { persistedQuery: { version: 1, sha256Hash: 'wrong' } } },
]
const accepts = [
  undefined,
  '*/*',
  'application/json',
  'application/graphql-response+json',
  'application/graphql-response+json, application/json;q=0.9',
  'application/xml',
]

/** Teaches the content type for an `accept` header; no plugin does anything about it. */
const lesson = '{ lesson: __typename }'

/** What plugins do beside looking on. */
const behaviours: Record<string, ApolloServerPlugin<RequestContext>> = {
  nothing: {},
  'refuses with a status of its own': {
    requestDidStart: async () => ({
      async didResolveOperation() {
        const http = { status: 418, headers: new HeaderMap([['x-tea', 'yes']]) }
        throw new GraphQLError('no coffee', { extensions: { code: 'TEAPOT', http } })
      },
    }),
  },
  'refuses with an error without any': {
    requestDidStart: async () => ({
      didResolveOperation: () => Promise.reject(new Error('refused')),
    }),
  },
  'answers itself': {
    requestDidStart: async () => ({
      responseForOperation: async ({ operationName }) => ({
        http: { status: 203, headers: new HeaderMap([['x-from', 'plugin']]) },
        body: { kind: 'single', singleResult: { data: { operationName } } },
      }),
    }),
  },
  'sets status, headers and extensions of every answer': {
    requestDidStart: async () => ({
      async willSendResponse({ response }) {
        response.http.status = 202
        response.http.headers.set('cache-control', 'no-store')
        response.http.headers.set('content-type', 'application/json')
        if (response.body.kind === 'single') response.body.singleResult.extensions = { told: 1 }
      },
    }),
  },
  'throws where nobody expects it': {
    requestDidStart: async () => ({
      responseForOperation: () => Promise.reject(new Error('a bug')),
    }),
  },
  'throws at the end': {
    requestDidStart: async () => ({
      willSendResponse: () => Promise.reject(new Error('another bug')),
    }),
  },
}

describe.each(Object.entries(behaviours))('a plugin that does this: %s', (_name, behaviour) => {
  const calls: unknown[] = []
  const plugins: ApolloServerPlugin<RequestContext>[] = [
    recorder(calls),
    {
      requestDidStart: async (context) =>
        context.request.query === lesson ? undefined : behaviour.requestDidStart?.(context),
    },
  ]
  const gateway = createFederatedGateway({
    supergraph: textSource(composeText(definitions)),
    executor: localSubgraphs(definitions).executor,
    logger: silentLogger,
  })
  const formatError = (formatted: { message: string; extensions?: Record<string, unknown> }, error: unknown) => {
    if (formatted.message === 'it broke') throw new Error('so does formatting')
    return { ...formatted, extensions: { ...formatted.extensions, kind: (error as Error).name } }
  }
  const front = createHttpFront({ gateway, plugins, formatError, stringifyResult })
  const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const apollo = new ApolloServer<RequestContext>({
    gateway: gateway.gateway,
    plugins: [ApolloServerPluginCacheControlDisabled(), ...front.plugins],
    formatError,
    stringifyResult,
    logger,
    includeStacktraceInErrorResponses: false,
  })
  beforeAll(() => apollo.start())
  afterAll(() => apollo.stop())

  async function seen(request: HTTPGraphQLRequest, answer: () => ReturnType<typeof front.answer>): Promise<unknown> {
    calls.length = 0
    const { status, headers, body } = await answer()
    return { asked: request.body, status, headers: [...headers], body, calls: calls.slice() }
  }

  test.each(accepts)('with accept: %s', async (accept) => {
    let short = 0
    const headers = new HeaderMap([['content-type', 'application/json']])
    if (accept !== undefined) headers.set('accept', accept)
    const requestOf = (body: unknown): HTTPGraphQLRequest => ({ method: 'POST', search: '', headers, body })
    await front.answer(apollo, requestOf({ query: lesson }), requestContext())
    for (const query of queries) {
      // Learns the document; from then on Apollo Server does not report to plugins that it parses and validates it.
      await front.answer(apollo, requestOf({ query }), requestContext())
      for (const body of bodies) {
        const request = requestOf({ query, ...body })
        const asked = apollo.executeHTTPGraphQLRequest.bind(apollo)
        const expected = await seen(request, () =>
          asked({ httpGraphQLRequest: request, context: () => Promise.resolve(requestContext()) }),
        )
        short += 1
        apollo.executeHTTPGraphQLRequest = (given) => {
          short -= 1
          return asked(given)
        }
        expect(await seen(request, () => front.answer(apollo, request, requestContext()))).toEqual(expected)
        apollo.executeHTTPGraphQLRequest = asked
      }
    }
    // What is not acceptable is never known.
    expect(short).toBe(accept === 'application/xml' ? 0 : 34)
  })
})

function recorder(calls: unknown[]): ApolloServerPlugin<RequestContext> {
  const record = (hook: string, context: object) => {
    const { request, response, document, operation, errors, ...rest } = context as Record<string, unknown>
    const { schema: _s, cache: _c, logger: _l, contextValue: _v, overallCachePolicy: _p, ...others } = rest
    const { http: _http, ...asked } = request as Record<string, unknown>
    const told = (errors as Error[] | undefined)?.map(({ message }) => message)
    const kinds = [document, operation].map((node) => (node as { kind: string } | undefined)?.kind)
    const { http, body } = response as { http: { status?: number; headers: HeaderMap }; body?: unknown }
    const head = [http.status, ...http.headers]
    calls.push(JSON.stringify({ hook, asked, head, body, kinds, told, others }))
  }
  return {
    async unexpectedErrorProcessingRequest({ error }) {
      calls.push(['unexpected', error.message])
    },
    async requestDidStart(started) {
      record('requestDidStart', started)
      return {
        didResolveSource: async (context) => record('didResolveSource', context),
        parsingDidStart: async (context) => record('parsingDidStart', context),
        validationDidStart: async (context) => record('validationDidStart', context),
        didResolveOperation: async (context) => record('didResolveOperation', context),
        async responseForOperation(context) {
          record('responseForOperation', context)
          return null
        },
        async executionDidStart(context) {
          record('executionDidStart', context)
          return { executionDidEnd: async (error) => void calls.push(['executionDidEnd', error?.message]) }
        },
        didEncounterErrors: async (context) => record('didEncounterErrors', context),
        willSendResponse: async (context) => record('willSendResponse', context),
      }
    },
  }
}

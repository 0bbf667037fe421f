import { type ExecutionResult, GraphQLError } from 'graphql'
import { describe, expect, test } from 'vitest'
import type { CompanyId } from '../../../core/ids.ts'
import type { Principal, RequestContext } from '../../../core/request.ts'
import { createSharing, type SharingOptions } from '../../../gateway/executor/sharing.ts'
import {
  cacheControl,
  localSubgraphs,
  requestContext,
  testGateway,
  type Subgraphs,
  type TestGateway,
} from './network.ts'

const PUBLIC = '@cacheControl(scope: PUBLIC)'
const PRIVATE = '@cacheControl(scope: PRIVATE)'

const subgraphs: Subgraphs = {
  shop: {
    sdl: `${cacheControl}
      type Query {
        products: [Product!] ${PUBLIC}
        product(id: ID!): Product ${PUBLIC}
        open: [Open!] ${PUBLIC}
        mixed: [Mixed!] ${PUBLIC}
        either: [Either!] ${PUBLIC}
        guarded: String ${PUBLIC}
        me: Person ${PUBLIC}
        whoAmI: String
      }
      type Mutation { sell: Int }
      type Product @key(fields: "id") ${PUBLIC} { id: ID! ${PUBLIC} name: String ${PUBLIC} price: Int }
      type Category ${PUBLIC} { name: String discount: Int ${PRIVATE} }
      type Person ${PRIVATE} { name: String ${PUBLIC} }
      interface Open { title: String }
      type Book implements Open & Mixed ${PUBLIC} { title: String label: String category: Category }
      type Film implements Open & Mixed ${PUBLIC} { title: String label: String ${PRIVATE} }
      interface Mixed { label: String ${PUBLIC} }
      union Either = Book | Film
    `,
    resolvers: {
      Query: {
        products: () => [{ id: '1', name: 'pen', price: 3 }],
        product: ({ id }: { id: string }) => ({ id, name: 'pen' }),
        open: () => [{ __typename: 'Book', title: 'B' }],
        mixed: () => [{ __typename: 'Book', label: 'B' }],
        either: () => [{ __typename: 'Book', title: 'B', category: { name: 'C' } }],
        me: () => ({ name: 'me' }),
        guarded: (_: unknown, _args: unknown, { principal }: RequestContext) => {
          if (principal.kind !== 'anonymous' && principal.scopes.includes('read')) return 'seen'
          throw new GraphQLError('not for this key')
        },
        whoAmI: (_: unknown, _args: unknown, { principal }: RequestContext) =>
          principal.kind === 'company' ? principal.companyId : principal.kind,
      },
      Mutation: { sell: () => 1 },
    },
  },
  // Builds the same type, says nothing of its own field, and cannot be spoken for by the shop's mark on the type.
  stock: {
    sdl: 'type Product @key(fields: "id") { id: ID! left: Int }',
    resolvers: { Product: { left: () => 5 } },
  },
}

const company = (name: string, scopes: readonly string[] = ['read']): Principal => ({
  kind: 'company',
  companyId: name as CompanyId,
  keyId: `key of ${name}`,
  scopes,
})

interface Held extends TestGateway {
  /** Lets subgraphs answer. */
  release(): void
  /** Client queries that were run, by their first request. */
  runs(): number
}

async function held(options: Partial<SharingOptions> = {}): Promise<Held> {
  const { executor } = localSubgraphs(subgraphs)
  const hold = Promise.withResolvers<void>()
  let runs = 0
  const gateway = await testGateway(subgraphs, {
    sharing: createSharing({ queries: true, reads: true, ...options }),
    executor: async (request, signal) => {
      if (request.kind === 'query') {
        if (request.subgraph === 'shop') runs += 1
        await hold.promise
      }
      return executor(request, signal)
    },
  })
  return { ...gateway, release: () => hold.resolve(), runs: () => runs }
}

const asked = (principal: Principal, over: Partial<RequestContext> = {}): RequestContext =>
  requestContext({ principal, ...over })

/** How often a query runs that two companies ask at the same time, and what they get. */
async function askedByTwo(query: string): Promise<{ runs: number; answers: readonly ExecutionResult[] }> {
  await using gateway = await held()
  const asking = ['a', 'b'].map((name) => gateway.query(query, {}, asked(company(name))))
  gateway.release()
  const answers = await Promise.all(asking)
  return { runs: gateway.runs(), answers }
}

describe('principals with the same rights share one run of', () => {
  test.each([
    ['public fields', '{ products { id name } }'],
    ['aliases of them', '{ all: products { key: id label: name } }'],
    [
      'named and inline fragments',
      '{ ...Q } fragment Q on Query { products { ... on Product { id ...N } } } fragment N on Product { name }',
    ],
    ['names of types', '{ __typename products { __typename } }'],
    ['the schema', '{ __schema { queryType { name } } __type(name: "Product") { name } products { id } }'],
    ['an interface whose types all say so', '{ open { title } }'],
    ['a union', '{ either { __typename ... on Book { title category { name } } ... on Film { title } } }'],
    ['what variables leave out', 'query ($no: Boolean = false) { products { id name @include(if: $no) } }'],
  ])('%s', async (_name, query) => {
    const { runs, answers } = await askedByTwo(query)
    expect(runs).toBe(1)
    expect(answers[0]?.data).toBeDefined()
    expect(answers[1]).toEqual(answers[0])
  })
})

describe('one private field keeps principals apart:', () => {
  test.each([
    ['on the root', '{ products { id } whoAmI }'],
    ['with no mark, on a marked type of two subgraphs', '{ products { id price } }'],
    ['of another subgraph on a marked type', '{ products { id left } }'],
    ['under the alias of a public one', '{ products { id name: price } }'],
    [
      'in a fragment that is spread in another',
      '{ products { ...A } } fragment A on Product { ...B } fragment B on Product { price }',
    ],
    ['in an inline fragment without a condition', '{ products { id ... { price } } }'],
    ['that a variable leaves out', 'query ($no: Boolean = false) { products { id price @include(if: $no) } }'],
    ['that a constant leaves out', '{ products { id price @skip(if: true) } }'],
    ['of one type of an interface', '{ mixed { label } }'],
    ['of one type, though data holds only the other', '{ mixed { ... on Film { label } __typename } }'],
    ['of an interface that does not say so', '{ open { ... on Film { label } } }'],
    ['on a public type', '{ either { ... on Book { category { name discount } } } }'],
    ['that gives a private type', '{ me { __typename } }'],
    ['beside introspection', '{ __typename __schema { queryType { name } } whoAmI }'],
  ])('%s', async (_name, query) => expect((await askedByTwo(query)).runs).toBe(2))
})

describe('what is public is still not shared', () => {
  /** How often it runs when these ask at the same time. */
  async function among(contexts: readonly RequestContext[], options: Partial<SharingOptions> = {}): Promise<number> {
    await using gateway = await held(options)
    const asking = contexts.map((context) => gateway.query('{ products { id } }', {}, context))
    gateway.release()
    await Promise.all(asking)
    return gateway.runs()
  }
  const admin: Principal = { kind: 'admin', keyId: 'key', scopes: ['read'] }

  test('with a stranger', async () => {
    expect(await among([asked(company('a')), requestContext()])).toBe(2)
    expect(await among([requestContext(), asked(company('a', []))])).toBe(2)
  })
  test('between kinds of principals', async () => expect(await among([asked(company('a')), asked(admin)])).toBe(2))
  test('between scopes', async () => {
    expect(await among([asked(company('a')), asked(company('b', ['read', 'write']))])).toBe(2)
    expect(await among([asked(company('a', ['x', 'y'])), asked(company('b', ['y', 'x']))])).toBe(1)
  })
  test('between positions', async () => {
    expect(await among([asked(company('a')), asked(company('b'), { position: 'later' })])).toBe(2)
  })
  test('between headers that subgraphs get to see', async () => {
    const contexts = ['de', 'fr'].map((tongue) => asked(company(tongue), { headers: { 'x-tongue': tongue } }))
    expect(await among(contexts, { headers: ['x-tongue'] })).toBe(2)
    expect(await among(contexts)).toBe(1)
  })
  test('where it is switched off', async () => {
    expect(await among([asked(company('a')), asked(company('b'))], { acrossPrincipals: false })).toBe(2)
  })
  test('once a mutation of anybody has finished', async () => {
    await using gateway = await held()
    const before = gateway.query('{ products { id } }', {}, asked(company('a')))
    await gateway.query('mutation { sell }', {}, asked(company('b')))
    const after = gateway.query('{ products { id } }', {}, asked(company('a')))
    gateway.release()
    await Promise.all([before, after])
    expect(gateway.runs()).toBe(2)
  })
})

test('a key without the right gets its own refusal, and the others what they may see', async () => {
  await using gateway = await held()
  const principals = [company('a'), company('b', []), company('c'), company('d', [])]
  const asking = principals.map((principal) => gateway.query('{ guarded }', {}, asked(principal)))
  gateway.release()
  const answers = await Promise.all(asking)
  expect(answers.map(({ data, errors }) => [data?.['guarded'], errors?.[0]?.message])).toEqual([
    ['seen', undefined],
    [null, 'not for this key'],
    ['seen', undefined],
    [null, 'not for this key'],
  ])
  expect(gateway.runs()).toBe(2)
})

test('one principal leaving does not cancel what another waits for', async () => {
  await using gateway = await held()
  const leaving = new AbortController()
  const left = gateway.query('{ products { id } }', {}, asked(company('a'), { signal: leaving.signal }))
  const stays = gateway.query('{ products { id } }', {}, asked(company('b')))
  leaving.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  gateway.release()
  expect(await stays).toEqual({ data: { products: [{ id: '1' }] } })
  expect(gateway.runs()).toBe(1)
})

test('the public fetches of a query with private fields say that they are public, and the others that they are not', async () => {
  await using gateway = await testGateway(subgraphs)
  await gateway.query('{ products { id name left } }', {}, asked(company('a')))
  expect(gateway.asked.map(({ subgraph, isPublic }) => [subgraph, isPublic])).toEqual([
    ['shop', true],
    ['stock', false],
  ])
})

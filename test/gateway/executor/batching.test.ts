import { expect, test } from 'vitest'
import { localSubgraphs, requestContext, testGateway, type Subgraphs } from './network.ts'

const subgraphs: Subgraphs = {
  fleet: {
    sdl: `
      type Query { ships: [Ship!]! flagship: Ship harbours: [Harbour!]! }
      type Ship @key(fields: "id") { id: ID! home: Harbour! }
      type Harbour @key(fields: "id") { id: ID! }
    `,
    resolvers: {
      Query: {
        ships: () => ['1', '2', '3'].map((id) => ({ id, home: { id: `h${id}` } })),
        flagship: () => ({ id: '2', home: { id: 'h9' } }),
        harbours: () => [{ id: 'h1' }, { id: 'h9' }],
      },
    },
  },
  crew: {
    sdl: `
      type Ship @key(fields: "id") { id: ID! captain: String tons(unit: String): Int }
      type Harbour @key(fields: "id") { id: ID! town: String! depth: Int }
    `,
    resolvers: {
      Ship: {
        __resolveReference: async (ship: object) => ship,
        captain: ({ id }: { id: string }) => `captain ${id}`,
        tons: (_: unknown, { unit }: { unit?: string }) => (unit === 'kilo' ? 5000 : 5),
      },
      Harbour: {
        __resolveReference: async ({ id }: { id: string }) => {
          if (id === 'h9') throw new Error('no such harbour')
          return { id, town: `town ${id}`, depth: 4 }
        },
      },
    },
  },
}

const source = `query ($unit: String) {
  ships { captain tons(unit: $unit) home { town } }
  flagship { captain home { depth } }
  harbours { town }
}`

const expectedData = {
  ships: ['1', '2', '3'].map((id) => ({ captain: `captain ${id}`, tons: 5000, home: { town: `town h${id}` } })),
  flagship: { captain: 'captain 2', home: { depth: null } },
}

test('entity fetches that are ready together leave as one operation, and each gets its own answer and errors', async () => {
  await using gateway = await testGateway(subgraphs)
  const { data, errors } = await gateway.query(
    `query ($unit: String) { ships { captain tons(unit: $unit) home { town } } flagship { captain home { depth } } }`,
    { unit: 'kilo' },
  )
  expect(data).toEqual(expectedData)
  expect(errors?.map(({ message, path }) => [message, path])).toEqual([['no such harbour', ['flagship', 'home']]])
  expect(gateway.asked.map(({ subgraph }) => subgraph)).toEqual(['fleet', 'crew'])
})

test('without batching each fetch is a request of its own, with the same answer', async () => {
  await using one = await testGateway(subgraphs)
  await using many = await testGateway(subgraphs, { batching: false })
  const [joined, apart] = await Promise.all([one, many].map((gateway) => gateway.query(source, { unit: 'kilo' })))
  expect(joined?.data).toEqual(apart?.data)
  const errors = (result: typeof joined): string[] =>
    (result?.errors ?? []).map((error) => JSON.stringify(error)).sort()
  expect(errors(joined)).toEqual(errors(apart))
  expect(one.asked.length).toBeLessThan(many.asked.length)
})

test('the body sent over HTTP says the same as the document and variables taken in process', async () => {
  const { executor } = localSubgraphs(subgraphs)
  await using gateway = await testGateway(subgraphs, {
    executor: (request, signal) => {
      const body = JSON.parse(request.body ?? '') as { query: string; variables: object }
      expect(body.variables).toEqual(request.variables)
      expect(body.query).toBe(request.query)
      return executor(request, signal)
    },
  })
  expect((await gateway.query(source, { unit: 'kilo' })).data).toBeNull()
})

test('explain tells the plan and every request that was sent', async () => {
  await using gateway = await testGateway(subgraphs, { explain: () => true })
  const { extensions } = await gateway.query('{ ships { captain } }', {}, requestContext())
  expect(extensions?.plan).toMatchObject({
    text: expect.stringContaining('Flatten(path: "ships.@")'),
    fetches: [
      { subgraph: 'fleet', representations: 0, paths: [''] },
      { subgraph: 'crew', representations: 3, paths: ['ships.@'] },
    ],
  })
  expect(gateway.federated.explainPlan('{ ships { id } }')).toContain('Fetch(service: "fleet")')
})

test('explain counts the start of a fetch from the start of its request, not of the process', async () => {
  await using gateway = await testGateway(subgraphs, { explain: () => true })
  const startedMs = performance.now() - 5
  const { extensions } = await gateway.query('{ ships { captain } }', {}, requestContext({ startedMs }))
  const untilNow = performance.now() - startedMs
  const { fetches } = (extensions?.plan ?? {}) as { fetches: { startMs: number; durationMs: number }[] }
  expect(fetches).toHaveLength(2)
  for (const { startMs, durationMs } of fetches) {
    expect(startMs).toBeGreaterThanOrEqual(5)
    expect(startMs + durationMs).toBeLessThanOrEqual(untilNow)
  }
})

test('what is asked of entities at several places is asked once, also under operations of different names', async () => {
  await using gateway = await testGateway(subgraphs)
  const { data } = await gateway.query('query Ships { ships { captain } flagship { captain } }')
  expect(data).toEqual({
    ships: ['1', '2', '3'].map((id) => ({ captain: `captain ${id}` })),
    flagship: { captain: 'captain 2' },
  })
  const [, crew] = gateway.asked
  expect(crew?.query).not.toContain('_1:')
  expect(crew?.variables).toEqual({ representations: ['1', '2', '3'].map((id) => ({ __typename: 'Ship', id })) })
})

const shipyard: Subgraphs = {
  fleet: {
    sdl: 'type Query { ships: [Ship!]! } type Ship @key(fields: "id") { id: ID! }',
    resolvers: { Query: { ships: () => [{ id: '1' }, { id: '2' }] } },
  },
  yard: {
    sdl: 'type Ship @key(fields: "id") { id: ID! draft: Int }',
    resolvers: {
      Ship: { __resolveReference: (ship: object) => ship, draft: ({ id }: { id: string }) => Number(id) + 3 },
    },
  },
  crew: {
    sdl: `type Ship @key(fields: "id") {
      id: ID! captain: String draft: Int @external pilots: Int @requires(fields: "draft")
    }`,
    resolvers: {
      Ship: {
        __resolveReference: (ship: object) => ship,
        captain: ({ id }: { id: string }) => `captain ${id}`,
        pilots: ({ draft }: { draft: number }) => draft * 2,
      },
    },
  },
}

const ships = [
  { captain: 'captain 1', pilots: 8 },
  { captain: 'captain 2', pilots: 10 },
]

test('what no other fetch waits for leaves with a later one to its subgraph', async () => {
  await using gateway = await testGateway(shipyard, { patienceMs: 600_000 })
  const { data } = await gateway.query('{ ships { captain pilots } }')
  expect(data).toEqual({ ships })
  expect(gateway.asked.map(({ subgraph }) => subgraph)).toEqual(['fleet', 'yard', 'crew'])
})

test('what waits for a later fetch leaves when none can follow any more', async () => {
  const { executor } = localSubgraphs(shipyard)
  await using gateway = await testGateway(shipyard, {
    patienceMs: 600_000,
    executor: (request, signal) =>
      request.subgraph === 'yard' ? Promise.reject(new Error('closed')) : executor(request, signal),
  })
  const { data, errors } = await gateway.query('{ ships { captain pilots } }')
  expect(data).toEqual({ ships: ships.map(({ captain }) => ({ captain, pilots: null })) })
  expect(errors).toHaveLength(1)
})

test('what waits for a later fetch leaves before it when that takes long', async () => {
  const { executor } = localSubgraphs(shipyard)
  const captainsAsked = Promise.withResolvers<void>()
  await using gateway = await testGateway(shipyard, {
    patienceMs: 1,
    async executor(request, signal) {
      if (request.subgraph === 'yard') await captainsAsked.promise
      if (request.subgraph === 'crew') captainsAsked.resolve()
      return executor(request, signal)
    },
  })
  expect((await gateway.query('{ ships { captain pilots } }')).data).toEqual({ ships })
})

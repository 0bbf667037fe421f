import { parse } from 'graphql'
import { expect, test } from 'vitest'
import { SlicedData } from '../../../gateway/executor/answer.ts'
import { requestContext, testGateway, type Subgraphs } from './network.ts'

/** Two people have the same friend, of whom one subgraph says something that depends on whose friend it is. */
const friendships: Subgraphs = {
  people: {
    sdl: `
      type Query { people: [Person!]! }
      type Person @key(fields: "id") { id: ID! friends: [Friend!]! @shareable }
      type Friend @key(fields: "id") { id: ID! }
    `,
    resolvers: { Query: { people: () => ['1', '2'].map((id) => ({ id, friends: [{ id: 'f' }] })) } },
  },
  closeness: {
    sdl: `
      type Person @key(fields: "id") { id: ID! friends: [Friend!]! @shareable }
      type Friend @key(fields: "id", resolvable: false) { id: ID! closeness: Int! }
    `,
    resolvers: {
      Person: {
        __resolveReference: ({ id }: { id: string }) => ({ friends: [{ id: 'f', closeness: Number(id) }] }),
      },
    },
  },
  names: {
    sdl: 'type Friend @key(fields: "id") { id: ID! name: String! }',
    resolvers: { Friend: { name: ({ id }: { id: string }) => `name of ${id}` } },
  },
}

test('equal objects stay apart where a later answer may differ by their parents', async () => {
  await using gateway = await testGateway(friendships)
  const { data, errors } = await gateway.query('{ people { friends { name closeness } } }')
  expect(errors).toBeUndefined()
  expect(data).toEqual({
    people: [{ friends: [{ name: 'name of f', closeness: 1 }] }, { friends: [{ name: 'name of f', closeness: 2 }] }],
  })
})

/** A tag's label depends on the object it hangs on, by `@fromContext`; its colour does not. */
const tagged: Subgraphs = {
  things: {
    sdl: `
      type Query { things: [Thing!]! }
      type Thing @key(fields: "id") @context(name: "thing") { id: ID! prefix: String! tag: Tag! }
      type Tag @key(fields: "id") { id: ID! }
    `,
    resolvers: { Query: { things: () => ['a', 'b'].map((id) => ({ id, prefix: id, tag: { id: 't' } })) } },
  },
  colours: {
    sdl: 'type Tag @key(fields: "id") { id: ID! colour: String! }',
    resolvers: { Tag: { colour: () => 'red' } },
  },
  labels: {
    sdl: `
      type Thing @key(fields: "id") @context(name: "thing") { id: ID! prefix: String! @external }
      type Tag @key(fields: "id") { id: ID! label(prefix: String @fromContext(field: "$thing { prefix }")): String! }
    `,
    resolvers: { Tag: { label: (_: unknown, { prefix }: { prefix: string }) => `${prefix}-label` } },
  },
}

test('equal objects stay apart where arguments come from the objects above them', async () => {
  await using gateway = await testGateway(tagged)
  const { data, errors } = await gateway.query('{ things { tag { colour label } } }')
  expect(errors).toBeUndefined()
  expect(data).toEqual({
    things: [{ tag: { colour: 'red', label: 'a-label' } }, { tag: { colour: 'red', label: 'b-label' } }],
  })
})

/** What is equal and asked for twice: first at one place of the plan, then again by a fetch that needs the first's answer. */
const parts: Subgraphs = {
  shelf: {
    sdl: 'type Query { boxes: [Box!]! } type Box { part: Part! } type Part @key(fields: "id") { id: ID! }',
    resolvers: { Query: { boxes: () => ['1', '1', '2', '1'].map((id) => ({ part: { id } })) } },
  },
  weights: {
    sdl: 'type Part @key(fields: "id") { id: ID! grams: Int! labels: [String!]! maker: Maker } type Maker @key(fields: "id") { id: ID! }',
    resolvers: {
      Part: {
        grams: ({ id }: { id: string }) => Number(id) * 10,
        labels: ({ id }: { id: string }) => [id, 'part'],
        maker: ({ id }: { id: string }) => ({ id: `m${id}` }),
      },
    },
  },
  prices: {
    sdl: `
      type Part @key(fields: "id") { id: ID! grams: Int! @external price: Int! @requires(fields: "grams") }
      type Maker @key(fields: "id") { id: ID! name: String! }
    `,
    resolvers: {
      Part: { price: ({ grams }: { grams: number }) => grams + 1 },
      Maker: { name: ({ id }: { id: string }) => id.toUpperCase() },
    },
  },
}

test('equal entities are one in every fetch that follows, and stand at each of their places in the answer', async () => {
  await using gateway = await testGateway(parts)
  const { data } = await gateway.query('{ boxes { part { id price maker { name } } } }')
  const part = (id: string) => ({ part: { id, price: Number(id) * 10 + 1, maker: { name: `M${id}` } } })
  expect(data).toEqual({ boxes: ['1', '1', '2', '1'].map(part) })
  for (const { variables = {} } of gateway.asked.slice(1)) {
    for (const list of Object.values(variables)) expect(list).toHaveLength(2)
  }
})

test('what stands at many places counts at each of them towards a large answer', async () => {
  const document = parse('{ boxes { part { labels } } }')
  for (const [itemsMax, large] of [
    [12, false],
    [11, true],
  ] as const) {
    await using gateway = await testGateway(parts, { itemsMax })
    const answer = await gateway.federated.executeText({ document, context: requestContext() })
    expect(answer.data instanceof SlicedData).toBe(large)
    expect(answer.data?.value).toEqual({
      boxes: ['1', '1', '2', '1'].map((id) => ({ part: { labels: [id, 'part'] } })),
    })
  }
})

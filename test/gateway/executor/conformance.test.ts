import { describe, expect, test } from 'vitest'
import { testGateway, type Subgraphs } from './network.ts'

/** Where plans of Apollo's planner, taken as they are, give wrong answers or none. */
describe('answers beyond the planner', () => {
  const houses = [
    { id: 'h1', plot: 'p1', code: { street: 's1', number: 'n1', flat: 'f1' }, name: 'Mill' },
    { id: 'h2', plot: 'p2', code: { street: 's1', number: 'n2', flat: 'f2' }, name: 'Barn' },
  ]

  test('an entity is fetched by a key that its subgraph resolves, though it declares others', async () => {
    const asked: unknown[] = []
    const subgraphs: Subgraphs = {
      register: {
        sdl: `
          type House
            @key(fields: "id", resolvable: true)
            @key(fields: "plot", resolvable: false)
            @key(fields: "code { street number }", resolvable: false)
            @key(fields: "id code { number flat }", resolvable: false) {
            id: ID! plot: ID! code: Code! name: String!
          }
          type Code { street: ID! number: ID! flat: ID! }
        `,
        resolvers: {
          House: { __resolveReference: ({ id }: { id: string }) => houses.find((house) => house.id === id) },
        },
      },
      town: {
        sdl: `
          type Query { street: Street }
          type Street @key(fields: "id") { id: ID! houses: [House!]! }
          type House
            @key(fields: "code { street number }", resolvable: false)
            @key(fields: "id code { number flat }", resolvable: true)
            @key(fields: "plot", resolvable: false)
            @key(fields: "id", resolvable: false) {
            id: ID! plot: ID! code: Code! name: String! @external label: String! @requires(fields: "name")
          }
          type Code { street: ID! number: ID! flat: ID! }
        `,
        resolvers: {
          Query: { street: () => ({ id: 's1', houses: houses.map(({ name: _name, ...house }) => house) }) },
          House: {
            __resolveReference: (reference: { id: string; code?: object; name?: string }) => {
              asked.push(reference)
              if (reference.code === undefined) throw new Error('cannot be found by this key')
              return { ...houses.find(({ id }) => id === reference.id), name: reference.name }
            },
            label: ({ name }: { name?: string }) => `the ${name}`,
          },
        },
      },
    }
    await using gateway = await testGateway(subgraphs)
    const { data, errors } = await gateway.query('{ street { id houses { id name label } } }')
    expect(errors).toBeUndefined()
    expect(data).toEqual({
      street: {
        id: 's1',
        houses: [
          { id: 'h1', name: 'Mill', label: 'the Mill' },
          { id: 'h2', name: 'Barn', label: 'the Barn' },
        ],
      },
    })
    expect(asked).toEqual([
      { __typename: 'House', id: 'h1', code: { number: 'n1', flat: 'f1' }, name: 'Mill' },
      { __typename: 'House', id: 'h2', code: { number: 'n2', flat: 'f2' }, name: 'Barn' },
    ])
  })

  const interfaceObject: Subgraphs = {
    first: {
      sdl: `
        type Query { node: Node goods: Goods! }
        interface Node @key(fields: "id") { id: ID! }
        type Goods @interfaceObject @key(fields: "id", resolvable: false) { id: ID! }
      `,
      resolvers: {
        Query: { node: () => ({ id: 'n1' }), goods: () => ({ id: 'g1' }) },
        Node: { __resolveType: () => null },
      },
    },
    second: {
      sdl: `
        type Query { other: Node }
        type Node @interfaceObject @key(fields: "id", resolvable: false) { id: ID! field: String }
        interface Goods @key(fields: "id") { id: ID! name: String! }
        type Bread implements Goods @key(fields: "id") { id: ID! name: String! }
      `,
      resolvers: {
        Query: { other: () => ({ id: 'n2', field: 'there' }) },
        Goods: { __resolveReference: () => null, __resolveType: () => 'Bread' },
        Bread: { __resolveReference: () => null },
      },
    },
  }

  test('a field that no subgraph can reach on an interface object is an error, not a null', async () => {
    await using gateway = await testGateway(interfaceObject)
    const { data, errors } = await gateway.query('{ node { field } }')
    expect(data ?? null).toBeNull()
    expect(errors?.[0]?.message).toMatch(/field/)
    expect(gateway.asked).toEqual([])
  })

  test('the same interface object, where it can be reached, answers', async () => {
    await using gateway = await testGateway(interfaceObject)
    expect(await gateway.query('{ other { id field } }')).toEqual({ data: { other: { id: 'n2', field: 'there' } } })
    expect(await gateway.query('{ goods { id } }')).toEqual({ data: { goods: { id: 'g1' } } })
    const unresolvable = await gateway.query('{ goods { id name } }')
    expect(unresolvable.data ?? null).toBeNull()
    expect(unresolvable.errors).toHaveLength(1)
  })

  const remarks = [1, 2, 3, 4].map((number) => ({ id: `r${number}`, writer: `w${number}` }))
  const articles: Subgraphs = {
    feed: {
      sdl: `
        type Query { articles: [Article] }
        type Article @key(fields: "id") { id: ID! remarks(limit: Int!): [Remark] @external }
        type Remark @key(fields: "id") {
          id: ID!
          writerId: ID
          twins: [Article] @external
          spam: Boolean @requires(fields: "twins { remarks(limit: 50) { id } }")
        }
      `,
      resolvers: {
        Query: { articles: () => [{ id: 'a1' }] },
        Article: {
          remarks: (_: unknown, { limit }: { limit: number }) =>
            remarks.slice(0, limit).map(({ id, writer }) => ({ id, writerId: writer })),
        },
        Remark: {
          __resolveReference: ({ id }: { id: string }) => ({
            id,
            writerId: remarks.find((remark) => remark.id === id)?.writer,
          }),
        },
      },
    },
    talk: {
      sdl: `
        type Article @key(fields: "id") {
          id: ID!
          writer: Writer @requires(fields: "remarks(limit: 3) { writerId }")
          remarks(limit: Int!): [Remark]
        }
        type Remark @key(fields: "id") { id: ID! writerId: ID @external twins: [Article] }
        type Writer { id: ID! }
      `,
      resolvers: {
        Article: {
          __resolveReference: (reference: { id: string; remarks?: { writerId: string }[] }) => {
            if (reference.remarks !== undefined && reference.remarks.length !== 3) throw new Error('expected 3 remarks')
            return { id: reference.id, writerId: reference.remarks?.[2]?.writerId }
          },
          writer: ({ writerId }: { writerId?: string }) => (writerId === undefined ? null : { id: writerId }),
          remarks: (_: unknown, { limit }: { limit: number }) => remarks.slice(0, limit).map(({ id }) => ({ id })),
        },
      },
    },
  }
  const expected = { articles: [{ writer: { id: 'w3' }, remarks: [{ id: 'r1' }] }] }

  describe('directives that clients write in operations', () => {
    const people: Subgraphs = {
      first: {
        sdl: `
          extend schema
            @link(url: "https://example.com/urgency/v1.0", import: ["@urgent"])
            @composeDirective(name: "@urgent")
          directive @urgent(level: String! = "high") on FIELD | INLINE_FRAGMENT
          directive @unit(name: String! = "cm") on FIELD
          type Query { person: Person }
          type Person @key(fields: "id") { id: ID! name: String }
        `,
        resolvers: { Query: { person: () => ({ id: 'p1', name: 'Ada' }) } },
      },
      second: {
        sdl: `
          directive @unit(name: String! = "cm") on FIELD
          type Person @key(fields: "id") { id: ID! height: Int }
        `,
        resolvers: { Person: { __resolveReference: ({ id }: { id: string }) => ({ id, height: 165 }) } },
      },
    }

    test('one that is composed is offered to clients, and sent to no subgraph: not all know it', async () => {
      await using gateway = await testGateway(people)
      const { federated, asked } = gateway
      expect(federated.schema().getDirective('urgent')?.args[0]?.defaultValue).toBe('high')
      const source = 'query ($level: String!) { person { ... @urgent { name } height @urgent(level: $level) } }'
      expect(await gateway.query(source, { level: 'low' })).toEqual({ data: { person: { name: 'Ada', height: 165 } } })
      expect(asked.map(({ query }) => query).join('\n')).not.toContain('urgent')
    })

    test('one that every subgraph has goes where it stands', async () => {
      await using gateway = await testGateway(people)
      const source = 'query ($unit: String!) { person { name height @unit(name: $unit) } }'
      expect(await gateway.query(source, { unit: 'inch' })).toEqual({ data: { person: { name: 'Ada', height: 165 } } })
      const [, second] = gateway.asked
      expect(second?.query).toContain('height@unit(name:$unit)')
      expect(second?.variables).toMatchObject({ unit: 'inch' })
    })

    test('what belongs to a feature of the schema only stays out of sight', async () => {
      await using gateway = await testGateway(people)
      const names = gateway.federated
        .schema()
        .getDirectives()
        .map(({ name }) => name)
      expect(names).toEqual(expect.arrayContaining(['skip', 'include', 'unit', 'urgent']))
      expect(names.filter((name) => name.startsWith('join__') || name === 'link')).toEqual([])
    })
  })

  test("a required field's arguments hold although the client asks the same field with others", async () => {
    await using gateway = await testGateway(articles)
    const { data, errors } = await gateway.query('{ articles { writer { id } remarks(limit: 1) { id } } }')
    expect(errors).toBeUndefined()
    expect(data).toEqual(expected)
  })

  test('… and where the client gives its argument by a variable', async () => {
    await using gateway = await testGateway(articles)
    const source = 'query ($limit: Int = 1) { articles { writer { id } remarks(limit: $limit) { id } } }'
    expect(await gateway.query(source)).toEqual({ data: expected })
  })

  test('… and where its fragments ask it more than once', async () => {
    await using gateway = await testGateway(articles)
    const source = `query ($limit: Int = 1) { articles { writer { id } ...A ...B } }
      fragment A on Article { remarks(limit: $limit) { id } }
      fragment B on Article { remarks(limit: $limit) { id } }`
    expect(await gateway.query(source)).toEqual({ data: expected })
  })

  test('two fields may require one field with different arguments', async () => {
    const subgraphs: Subgraphs = {
      shop: {
        sdl: `
          type Query { wares: [Ware] }
          type Ware @key(fields: "sku") { sku: String! price(currency: String!): Int mass: Int kind: Kind }
          type Kind { mean(currency: String!): Int }
        `,
        resolvers: {
          Query: {
            wares: () => [
              { sku: 'w1', mass: 2 },
              { sku: 'w2', mass: 3 },
            ],
          },
          Ware: {
            __resolveReference: ({ sku }: { sku: string }) => ({ sku, mass: sku === 'w1' ? 2 : 3 }),
            price: (_: unknown, { currency }: { currency: string }) => (currency === 'EUR' ? 10 : 7),
            kind: () => ({}),
          },
          Kind: { mean: (_: unknown, { currency }: { currency: string }) => (currency === 'EUR' ? 20 : 14) },
        },
      },
      freight: {
        sdl: `
          type Ware @key(fields: "sku") {
            sku: String!
            mass: Int @external
            price(currency: String!): Int @external
            freight: Int @requires(fields: "price(currency: \\"USD\\") mass")
            freightEur: Int @requires(fields: "price(currency: \\"EUR\\") mass")
            kind: Kind @external
            dear: Boolean @requires(fields: "kind { mean(currency: \\"USD\\") }")
          }
          type Kind @external { mean(currency: String!): Int }
        `,
        resolvers: {
          Ware: {
            __resolveReference: (reference: object) => reference,
            freight: ({ price, mass }: { price: number; mass: number }) => price * mass,
            freightEur: ({ price, mass }: { price: number; mass: number }) => price * mass,
            dear: ({ kind }: { kind: { mean: number } }) => kind.mean > 15,
          },
        },
      },
    }
    await using gateway = await testGateway(subgraphs)
    expect(await gateway.query('{ wares { sku freight freightEur dear } }')).toEqual({
      data: {
        wares: [
          { sku: 'w1', freight: 14, freightEur: 20, dear: false },
          { sku: 'w2', freight: 21, freightEur: 30, dear: false },
        ],
      },
    })
  })
})

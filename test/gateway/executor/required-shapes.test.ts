import { describe, expect, test } from 'vitest'
import { mergeInto } from '../../../gateway/executor/merge.ts'
import { testGateway, type Subgraphs } from './network.ts'

const byId = ({ id }: { id: string }): object => ({ id })

/** Shapes of `@requires` that Apollo's planner plans wrongly, or not at all. */
describe('what fields require', () => {
  test('a chain may come through one subgraph twice', async () => {
    const subgraphs: Subgraphs = {
      mill: {
        sdl: `
          type Query { loaf: Loaf }
          type Loaf @key(fields: "id") {
            id: ID!
            dough(with: Salt): String @requires(fields: "flour")
            crust: String @requires(fields: "baked")
            flour: String @external
            baked: String @external
          }
          input Salt { grams: Int }
        `,
        resolvers: {
          Query: { loaf: () => ({ id: '1' }) },
          Loaf: {
            __resolveReference: (loaf: object) => loaf,
            dough: ({ flour }: { flour: string }, args: { with: { grams: number } }) =>
              `${flour} with ${args.with.grams} g`,
            crust: ({ baked }: { baked: string }) => `crust of ${baked}`,
          },
        },
      },
      oven: {
        sdl: `
          type Loaf @key(fields: "id") {
            id: ID!
            flour: String
            baked: String @requires(fields: "dough(with: { grams: 3 })")
            dough(with: Salt): String @external
          }
          input Salt { grams: Int }
        `,
        resolvers: {
          Loaf: {
            __resolveReference: (loaf: object) => loaf,
            flour: () => 'rye',
            baked: ({ dough }: { dough: string }) => `baked ${dough}`,
          },
        },
      },
    }
    await using gateway = await testGateway(subgraphs)
    expect(await gateway.query('{ loaf { crust } }')).toEqual({
      data: { loaf: { crust: 'crust of baked rye with 3 g' } },
    })
    expect(gateway.federated.explainPlan('{ loaf { crust } }')).not.toContain('__requiring')
  })

  test('a chain may go through a union, and is asked where its members are', async () => {
    const subgraphs: Subgraphs = {
      garage: {
        sdl: `
          type Query { car: Car }
          union Part = Wheel | Seat
          type Wheel @key(fields: "id") { id: ID! inches: Int @external }
          type Seat @key(fields: "id") { id: ID! colour: String }
          type Car @key(fields: "id") { id: ID! size: Int @requires(fields: "part { ... on Wheel { inches } }") part: Part @external }
        `,
        resolvers: {
          Query: { car: () => ({ id: '1' }) },
          Car: {
            __resolveReference: (car: object) => car,
            size: ({ part }: { part: { inches: number } }) => part.inches * 10,
          },
          Wheel: { __resolveReference: byId },
          Seat: { __resolveReference: byId },
        },
      },
      factory: {
        sdl: `
          union Part = Wheel
          type Wheel @key(fields: "id") { id: ID! inches: Int }
          type Car @key(fields: "id") { id: ID! part: Part price: Int @requires(fields: "size") size: Int @external }
        `,
        resolvers: {
          Car: {
            __resolveReference: (car: object) => car,
            part: () => ({ __typename: 'Wheel', id: 'w' }),
            price: ({ size }: { size: number }) => size + 1,
          },
          Wheel: { __resolveReference: byId, inches: () => 17 },
        },
      },
    }
    await using gateway = await testGateway(subgraphs)
    expect(await gateway.query('{ car { price } }')).toEqual({ data: { car: { price: 171 } } })
    expect(await gateway.query('{ car { size part { ... on Wheel { inches } } } }')).toEqual({
      data: { car: { size: 170, part: { inches: 17 } } },
    })
  })

  test('a condition on a field that requires takes nothing along that requires nothing', async () => {
    const subgraphs: Subgraphs = {
      shop: {
        sdl: `
          type Query { book: Book }
          type Book @key(fields: "id") { id: ID! pages(of: Int): Int }
        `,
        resolvers: {
          Query: { book: () => ({ id: '1' }) },
          Book: { __resolveReference: byId, pages: (_: unknown, args: { of: number }) => args.of * 10 },
        },
      },
      press: {
        sdl: `
          type Book @key(fields: "id") {
            id: ID!
            title: String
            weight: Int @requires(fields: "pages(of: 2)")
            pages(of: Int): Int @external
          }
        `,
        resolvers: {
          Book: {
            __resolveReference: (book: object) => book,
            title: () => 'Moby',
            weight: ({ pages }: { pages: number }) => pages + 1,
          },
        },
      },
    }
    const source = `query ($brief: Boolean!, $light: Boolean = false) {
      book { title weight @skip(if: $brief) ... on Book @include(if: $light) { heft: weight } }
    }`
    await using gateway = await testGateway(subgraphs)
    const book = async (variables: object) => (await gateway.query(source, { ...variables })).data?.book
    expect(await book({ brief: true })).toEqual({ title: 'Moby' })
    expect(await book({ brief: false })).toEqual({ title: 'Moby', weight: 21 })
    expect(await book({ brief: true, light: true })).toEqual({ title: 'Moby', heft: 21 })
  })

  describe('of an interface object, under conditions', () => {
    const subgraphs: Subgraphs = {
      archive: {
        sdl: `
          type Query { works: [Work] }
          interface Work @key(fields: "id") { id: ID! }
          type Film implements Work @key(fields: "id") { id: ID! }
        `,
        resolvers: {
          Query: { works: () => [{ __typename: 'Film', id: '1' }] },
          Work: { __resolveReference: ({ id }: { id: string }) => ({ __typename: 'Film', id }) },
          Film: { __resolveReference: byId },
        },
      },
      votes: {
        sdl: 'type Work @interfaceObject @key(fields: "id") { id: ID! stars: Int }',
        resolvers: {
          Work: { __resolveReference: byId, stars: () => 4 },
        },
      },
      till: {
        sdl: 'type Query { sold: [Work] } type Work @interfaceObject @key(fields: "id") { id: ID! }',
        resolvers: { Query: { sold: () => [{ id: '1' }] } },
      },
      critics: {
        sdl: `
          type Work @interfaceObject @key(fields: "id") { id: ID! stars: Int @external verdict: String @requires(fields: "stars") note: Int }
          type Query { judged: [Work] }
        `,
        resolvers: {
          Query: { judged: () => [{ id: '1' }] },
          Work: {
            __resolveReference: (work: object) => work,
            note: () => 7,
            verdict: ({ stars }: { stars: number }) => `${stars} of 5`,
          },
        },
      },
    }

    test.each([
      ['a fragment', '{ sold { id ... @include(if: $yes) { verdict } } }', { sold: [{ id: '1' }] }],
      ['a field above', '{ sold @include(if: $yes) { id ... on Film { verdict } } }', {}],
      [
        'a constant',
        '{ sold { id ... @include(if: true) { ... @include(if: $yes) { verdict } } } }',
        { sold: [{ id: '1' }] },
      ],
    ])('%s', async (_name, selection, without) => {
      await using gateway = await testGateway(subgraphs)
      const source = `query ($yes: Boolean!) ${selection}`
      expect(await gateway.query(source, { yes: true })).toEqual({ data: { sold: [{ id: '1', verdict: '4 of 5' }] } })
      expect(await gateway.query(source, { yes: false })).toEqual({ data: without })
    })

    test('a condition on nothing but the type leaves no variable behind that is not used', async () => {
      await using gateway = await testGateway(subgraphs)
      const source = `query ($yes: Boolean!) {
        judged { ...Noted ... on Film @include(if: $yes) { __typename verdict again: verdict @include(if: $yes) } stars }
      } fragment Noted on Film { __typename noted: note }`
      expect(await gateway.query(source, { yes: true })).toEqual({
        data: { judged: [{ __typename: 'Film', noted: 7, verdict: '4 of 5', again: '4 of 5', stars: 4 }] },
      })
    })

    test('more of them than can be planned apart are refused with a code', async () => {
      await using gateway = await testGateway(subgraphs)
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      const nested = names.reduce((inside, name) => `... @include(if: $${name}) { ${inside} }`, 'verdict')
      const source = `query (${names.map((name) => `$${name}: Boolean = true`).join()}) { sold { ${nested} } }`
      const { data, errors } = await gateway.query(source)
      expect(data).toBeUndefined()
      expect(errors).toMatchObject([{ extensions: { code: 'PLANNING_FAILED' } }])
    })
  })

  test('the type that an interface object gives never takes the place of a known one, whichever comes first', () => {
    const interfaceObjects = new Set(['Work'])
    const film = { works: [{ __typename: 'Film', id: '1' }] }
    const work = { works: [{ __typename: 'Work', id: '1', stars: 4 }] }
    for (const [first, second] of [
      [film, work],
      [work, film],
    ] as const) {
      const data = structuredClone<object>(first) as Record<string, unknown>
      mergeInto(data, structuredClone<object>(second) as Record<string, unknown>, interfaceObjects)
      expect(data).toEqual({ works: [{ __typename: 'Film', id: '1', stars: 4 }] })
    }
  })
})

import { describe, expect, test } from 'vitest'
import { testGateway, type Subgraphs } from './network.ts'

/** Shapes of supergraphs of which Apollo's planner loses, mixes up or refuses something without saying so. */
describe('shapes that plans lose something of', () => {
  describe('a field that two subgraphs share, and whose types are others in each', () => {
    const screw = { __typename: 'Screw', size: 'M4' }
    const gauge = { __typename: 'Gauge', serial: 'g1', range: 10 }
    const lamp = { __typename: 'Lamp', watts: 60 }
    const shared = `
      type Bench @key(fields: "id") { id: ID! tray: Tray @shareable top: Thing @shareable }
      type Tray @shareable { things: [Item!]! }
      type Screw implements Thing @shareable { size: String }
      interface Thing { size: String }
    `
    const bench = (items: object[], top: object) => ({
      __resolveReference: ({ id }: { id: string }) => ({ id }),
      tray: () => ({ things: items }),
      top: () => top,
    })
    const subgraphs: Subgraphs = {
      lab: {
        sdl: `${shared}
          type Query { labBench: Bench anyBench: Bench @shareable }
          union Item = Screw | Gauge
          type Gauge implements Thing @key(fields: "serial") { serial: ID! range: Int size: String @shareable }
        `,
        resolvers: {
          Query: { labBench: () => ({ id: 'b1' }), anyBench: () => ({ id: 'b1' }) },
          Bench: bench([screw, gauge], gauge),
        },
      },
      shop: {
        sdl: `${shared}
          type Query { shopBench: Bench anyBench: Bench @shareable }
          union Item = Screw | Lamp
          type Lamp { watts: Int }
        `,
        resolvers: {
          Query: { shopBench: () => ({ id: 'b1' }), anyBench: () => ({ id: 'b1' }) },
          Bench: bench([screw, lamp], screw),
        },
      },
      checks: {
        sdl: 'type Gauge @key(fields: "serial") { serial: ID! checkedIn: Int box: Tray } type Tray @shareable { things: [Item!]! } union Item = Seal type Seal { year: Int }',
        resolvers: {
          Gauge: {
            __resolveReference: ({ serial }: { serial: string }) => ({ serial }),
            checkedIn: () => 2026,
            box: () => ({ things: [{ __typename: 'Seal', year: 2025 }] }),
          },
        },
      },
    }
    const items = '{ tray { things { __typename ...Parts ... on Lamp { watts } } } }'
    const parts = 'fragment Parts on Item { ... on Screw { size } ... on Gauge { range } }'

    test.each([
      ['labBench', [screw, { __typename: 'Gauge', range: 10 }]],
      ['shopBench', [screw, lamp]],
    ])('%s holds what its subgraph returns, of all types', async (root, things) => {
      await using gateway = await testGateway(subgraphs)
      expect(await gateway.query(`{ ${root} ${items} } ${parts}`)).toEqual({ data: { [root]: { tray: { things } } } })
      expect(gateway.asked).toHaveLength(1)
    })

    test('both in one query, each under a name of the client', async () => {
      await using gateway = await testGateway(subgraphs)
      const source = `{ one: labBench ${items} other: shopBench { plate: tray { all: things { ...Parts ... on Lamp { watts } } } } } ${parts}`
      expect(await gateway.query(source)).toEqual({
        data: {
          one: { tray: { things: [screw, { __typename: 'Gauge', range: 10 }] } },
          other: { plate: { all: [{ size: 'M4' }, { watts: 60 }] } },
        },
      })
    })

    test('what is selected there may lead to other subgraphs, and to such a field again', async () => {
      await using gateway = await testGateway(subgraphs)
      const source =
        '{ labBench { tray { things { ... on Gauge { checkedIn box { things { ... on Seal { year } } } } } } } }'
      expect(await gateway.query(source)).toEqual({
        data: { labBench: { tray: { things: [{}, { checkedIn: 2026, box: { things: [{ year: 2025 }] } }] } } },
      })
    })

    test('the same of an interface, whose own fields stay', async () => {
      await using gateway = await testGateway(subgraphs)
      const source =
        'query ($yes: Boolean!) { labBench { top { ... on Gauge @include(if: $yes) { range } size } } shopBench { top { size ... on Gauge { range } } } }'
      expect(await gateway.query(source, { yes: true })).toEqual({
        data: { labBench: { top: { range: 10, size: null } }, shopBench: { top: { size: 'M4' } } },
      })
      expect(await gateway.query(source, { yes: false })).toMatchObject({ data: { labBench: { top: { size: null } } } })
    })

    test('subgraphs are asked by the names they know, and plans show them', async () => {
      await using gateway = await testGateway(subgraphs)
      const source = '{ labBench { top { ... on Gauge { range } } } }'
      await gateway.query(source)
      expect(gateway.asked[0]?.query.replaceAll(/\s+/g, '')).toContain('top{__typename...onGauge{range}}')
      expect(gateway.federated.explainPlan(source)).not.toContain('__in_')
    })
  })

  describe('a type that one subgraph knows only as an interface object', () => {
    const subgraphs: Subgraphs = {
      archive: {
        sdl: `
          type Query { works: [Work!]! }
          interface Work @key(fields: "id") { id: ID! title: String }
          type Print implements Work @key(fields: "id") { id: ID! title: String sheets: Int }
          type Tape implements Work @key(fields: "id") { id: ID! title: String }
        `,
        resolvers: {
          Query: {
            works: () => [
              { __typename: 'Print', id: 'w1' },
              { __typename: 'Tape', id: 'w2' },
            ],
          },
          Work: {
            __resolveReference: ({ id }: { id: string }) => ({ __typename: id === 'w1' ? 'Print' : 'Tape', id }),
          },
          Print: { title: () => 'Waves', sheets: () => 2 },
        },
      },
      votes: {
        sdl: 'type Query { best: Work } type Work @interfaceObject @key(fields: "id") { id: ID! votes: Int }',
        resolvers: {
          Query: { best: () => ({ id: 'w1' }) },
          Work: { __resolveReference: ({ id }: { id: string }) => ({ id }), votes: () => 7 },
        },
      },
    }

    test('keeps its own name where the client asks for it beside what that subgraph adds', async () => {
      await using gateway = await testGateway(subgraphs)
      const source =
        '{ works { ... on Print { votes sheets } ... on Print { __typename title } ... on Tape { votes } } }'
      expect(await gateway.query(source)).toEqual({
        data: { works: [{ votes: 7, sheets: 2, __typename: 'Print', title: 'Waves' }, { votes: 7 }] },
      })
      expect(await gateway.query('{ best { ... on Print { __typename votes } ... on Print { title } } }')).toEqual({
        data: { best: { __typename: 'Print', votes: 7, title: 'Waves' } },
      })
    })
  })

  test('what everything of an interface has stands in the order the client asks, with no type fetched', async () => {
    await using gateway = await testGateway({
      archive: {
        sdl: `
          type Query { thing: Thing }
          union Thing = Desk
          type Desk { a: Int b: Int c: Int }
          interface Work @key(fields: "id") { id: ID! }
          type Print implements Work @key(fields: "id") { id: ID! }
        `,
        resolvers: {
          Query: { thing: () => ({ __typename: 'Desk', a: 1, b: 2, c: 3 }) },
          Work: { __resolveReference: ({ id }: { id: string }) => ({ __typename: 'Print', id }) },
        },
      },
      votes: {
        sdl: 'type Query { best: [Work] } type Work @interfaceObject @key(fields: "id") { id: ID! votes: Int mood: String }',
        resolvers: { Query: { best: () => [{ id: 'w1', votes: 7, mood: 'fine' }, null] } },
      },
    })
    const { data } = await gateway.query(
      '{ best { mood ...W id } thing { ... on Desk { a } ...D ... on Desk { c } } } fragment W on Work { votes } fragment D on Desk { b }',
    )
    expect(JSON.stringify(data)).toBe('{"best":[{"mood":"fine","votes":7,"id":"w1"},null],"thing":{"a":1,"b":2,"c":3}}')
    expect(gateway.asked).toHaveLength(2)
    expect(await gateway.query('{ best { id kind: __typename } }')).toEqual({
      data: { best: [{ id: 'w1', kind: 'Print' }, null] },
    })
  })

  test('a field whose fields exclude each other is an empty object, not null', async () => {
    await using gateway = await testGateway({
      one: {
        sdl: 'type Query { boats: [Boat] } type Boat @key(fields: "id") { id: ID! name: String }',
        resolvers: { Query: { boats: () => [{ id: '1', name: 'Ark' }] } },
      },
    })
    const source = 'query ($a: Boolean!) { boats @skip(if: $a) { ...B } } fragment B on Boat { name @include(if: $a) }'
    expect(await gateway.query(source, { a: false })).toEqual({ data: { boats: [{}] } })
    expect(await gateway.query(source, { a: true })).toEqual({ data: {} })
  })

  test('arguments come from the context further up, also of entities fetched later', async () => {
    const subgraphs: Subgraphs = {
      houses: {
        sdl: `
          type Query { houses: [House!]! }
          type House @context(name: "house") @key(fields: "id") { id: ID! currency: String! @external rooms: [Room!]! }
          type Room @key(fields: "id") {
            id: ID! rent(in: String @fromContext(field: "$house { currency }"), months: Int = 1): String
          }
        `,
        resolvers: {
          Query: { houses: () => [{ id: 'h1' }, { id: 'h2' }] },
          House: {
            __resolveReference: (reference: object) => reference,
            rooms: ({ id }: { id: string }) => [{ id: `${id}-1` }, { id: `${id}-2` }],
          },
          Room: {
            __resolveReference: (reference: object) => reference,
            rent: ({ id }: { id: string }, args: { in?: string; months?: number }) =>
              `${id}: ${args.months} months in ${args.in}`,
          },
        },
      },
      banks: {
        sdl: 'type House @key(fields: "id") { id: ID! currency: String! } type Room @key(fields: "id") { id: ID! size: Int }',
        resolvers: {
          House: {
            __resolveReference: (reference: object) => reference,
            currency: ({ id }: { id: string }) => (id === 'h1' ? 'EUR' : 'CHF'),
          },
          Room: { __resolveReference: (reference: object) => reference, size: () => 20 },
        },
      },
    }
    await using gateway = await testGateway(subgraphs)
    const room = (id: string, currency: string): object => ({ rent: `${id}: 3 months in ${currency}`, size: 20 })
    expect(await gateway.query('query ($m: Int) { houses { rooms { rent(months: $m) size } } }', { m: 3 })).toEqual({
      data: {
        houses: [
          { rooms: [room('h1-1', 'EUR'), room('h1-2', 'EUR')] },
          { rooms: [room('h2-1', 'CHF'), room('h2-2', 'CHF')] },
        ],
      },
    })
  })

  test('what a required field requires itself is asked where it is, not where it is only declared', async () => {
    const asked: unknown[] = []
    const subgraphs: Subgraphs = {
      yard: {
        sdl: `
          type Query { ship: Ship }
          type Ship @key(fields: "dock { row }") {
            dock: Dock! length: Int
            mass: Float @external
            draught(in: Unit = METRES): Float @requires(fields: "mass")
          }
          type Dock @shareable { row: ID! }
          enum Unit { METRES FEET }
        `,
        resolvers: {
          Query: { ship: () => ({ dock: { row: '7' }, length: 90 }) },
          Ship: {
            __resolveReference: (reference: { mass?: number }) => {
              asked.push(reference.mass)
              return reference
            },
            draught: ({ mass }: { mass: number }, { in: unit }: { in: string }) => mass * (unit === 'FEET' ? 3 : 1),
          },
        },
      },
      canal: {
        sdl: `
          type Ship @key(fields: "id") @key(fields: "dock { row }") {
            id: ID! dock: Dock! mass: Float
            draught(in: Unit = METRES): Float @external
            toll: Float @requires(fields: "draught(in: FEET)")
          }
          type Dock @shareable { row: ID! }
          enum Unit { METRES FEET }
        `,
        resolvers: {
          Ship: {
            __resolveReference: (reference: { id?: string; dock?: { row: string } }) => ({
              ...reference,
              id: reference.id ?? reference.dock?.row,
            }),
            mass: () => 4,
            toll: ({ draught }: { draught: number }) => draught * 100,
          },
        },
      },
    }
    await using gateway = await testGateway(subgraphs)
    expect(await gateway.query('{ ship { length toll } }')).toEqual({ data: { ship: { length: 90, toll: 1200 } } })
    expect(asked).toEqual([4])
    expect(await gateway.query('{ ship { draught mass } }')).toEqual({ data: { ship: { draught: 4, mass: 4 } } })
    expect(gateway.asked.map(({ subgraph }) => subgraph)).not.toContain('YARD__requiring')
  })

  describe("a client's name for a field that is also the name of a key or of what is required", () => {
    const subgraphs: Subgraphs = {
      people: {
        sdl: 'type Query { people: [Person!]! } type Person @key(fields: "id") { id: ID! name: String! age: Int }',
        resolvers: {
          Query: { people: () => [{ id: '1', name: 'Ada', age: 36 }] },
          Person: { __resolveReference: ({ id }: { id: string }) => ({ id, name: 'Ada', age: 36 }) },
        },
      },
      notes: {
        sdl: `type Person @key(fields: "id") {
          id: ID! notes: [String!] strict: Int! age: Int @external old: Boolean @requires(fields: "age")
        }`,
        resolvers: {
          Person: {
            notes: ({ id }: { id: string }) => [`note ${id}`],
            old: ({ age }: { age: number }) => age > 30,
            strict: () => null,
          },
        },
      },
    }

    test.each([
      ['{ people { id: name notes } }', [{ id: 'Ada', notes: ['note 1'] }]],
      ['{ people { age: name old } }', [{ age: 'Ada', old: true }]],
      ['{ people { __typename: name notes } }', [{ __typename: 'Ada', notes: ['note 1'] }]],
      [
        '{ people { id: __typename age: id c_id: age notes } }',
        [{ id: 'Person', age: '1', c_id: 36, notes: ['note 1'] }],
      ],
    ])('%s', async (source, people) => {
      await using gateway = await testGateway(subgraphs)
      expect(await gateway.query(source)).toEqual({ data: { people } })
    })

    test("errors speak of the client's names", async () => {
      await using gateway = await testGateway(subgraphs)
      const { data, errors } = await gateway.query('{ people { name: id id: strict } }')
      expect(data).toBeNull()
      expect(errors?.map(({ path }) => path)).toEqual([['people', 0, 'id']])
    })
  })
})

import { describe, expect, test } from 'vitest'
import { localSubgraphs, testGateway, type Subgraphs } from './network.ts'

const people = [
  { id: '1', name: 'Ada', email: 'ada@example.org' },
  { id: '2', name: 'Bob', email: null },
]
const notes = [
  { id: 'a', text: 'first', author: '1' },
  { id: 'b', text: 'second', author: '2' },
  { id: 'c', text: 'third', author: '1' },
]

const subgraphs: Subgraphs = {
  people: {
    sdl: `
      type Query { people: [Person!]! person(id: ID!): Person }
      type Person @key(fields: "id") { id: ID! name: String! email: String secret: String! }
      type Mutation { rename(id: ID!, name: String!): Person }
    `,
    resolvers: {
      Query: {
        people: () => people,
        person: (_: unknown, { id }: { id: string }) => people.find((person) => person.id === id),
      },
      Mutation: { rename: (_: unknown, args: { id: string; name: string }) => ({ ...people[0], ...args }) },
      Person: {
        __resolveReference: ({ id }: { id: string }) => people.find((person) => person.id === id) ?? null,
        secret: ({ id }: { id: string }) => {
          if (id === '2') throw new Error('not yours')
          return 'sesame'
        },
      },
    },
  },
  notes: {
    sdl: `
      type Query { notes: [Note!]! feed: [Entry!]! }
      interface Entry { id: ID! }
      type Note implements Entry @key(fields: "id") { id: ID! text: String! author: Person! }
      type Link implements Entry { id: ID! url: String! }
      type Person @key(fields: "id") { id: ID! notes: [Note!]! }
    `,
    resolvers: {
      Query: {
        notes: () => notes,
        feed: () => [
          { __typename: 'Note', ...notes[0] },
          { __typename: 'Link', id: 'x', url: 'https://example.org' },
        ],
      },
      Note: { author: ({ author }: { author: string }) => ({ id: author }) },
      Person: { notes: ({ id }: { id: string }) => notes.filter(({ author }) => author === id) },
    },
  },
}

describe('executing a plan', () => {
  test('fields come in the order the client wrote them, also where several subgraphs answer', async () => {
    await using gateway = await testGateway(subgraphs)
    const { data, errors } = await gateway.query('{ notes { author { name id } text id } }')
    expect(errors).toBeUndefined()
    expect(JSON.stringify(data)).toBe(
      '{"notes":[{"author":{"name":"Ada","id":"1"},"text":"first","id":"a"},{"author":{"name":"Bob","id":"2"},"text":"second","id":"b"},{"author":{"name":"Ada","id":"1"},"text":"third","id":"c"}]}',
    )
  })

  test('a field selected in several places stands where it was first', async () => {
    await using gateway = await testGateway(subgraphs)
    const { data } = await gateway.query(
      '{ feed { ... on Note { text } __typename } feed { id ... on Note { id text author { id } } ... on Link { url } } }',
    )
    expect(JSON.stringify(data)).toBe(
      '{"feed":[{"text":"first","__typename":"Note","id":"a","author":{"id":"1"}},{"__typename":"Link","id":"x","url":"https://example.org"}]}',
    )
  })

  test('an entity that stands in several places is asked for once', async () => {
    await using gateway = await testGateway(subgraphs)
    await gateway.query('{ notes { author { name } } }')
    expect(gateway.asked.map(({ subgraph, variables }) => [subgraph, variables])).toEqual([
      ['notes', {}],
      [
        'people',
        {
          representations: [
            { __typename: 'Person', id: '1' },
            { __typename: 'Person', id: '2' },
          ],
        },
      ],
    ])
  })

  test('an error of one entity has the path of every place where the entity stands', async () => {
    await using gateway = await testGateway(subgraphs)
    const { data, errors } = await gateway.query('{ notes { text author { secret } } }')
    expect(data).toBeNull()
    expect(errors?.map(({ message, path }) => ({ message, path }))).toEqual([
      { message: 'not yours', path: ['notes', 1, 'author', 'secret'] },
    ])
  })

  test('a null where none may be takes its parent with it and is an error when no subgraph explained it', async () => {
    const silent: Subgraphs = {
      a: {
        sdl: 'type Query { item: Item } type Item @key(fields: "id") { id: ID! }',
        resolvers: { Query: { item: () => ({ id: '1' }) } },
      },
      b: {
        sdl: 'type Item @key(fields: "id") { id: ID! must: String! }',
        resolvers: { Item: { __resolveReference: () => null } },
      },
    }
    await using gateway = await testGateway(silent)
    const { data, errors } = await gateway.query('{ item { id must } }')
    expect(data).toEqual({ item: null })
    expect(errors?.[0]?.message).toBe('Cannot return null for non-nullable field Item.must.')
    expect(errors?.[0]?.path).toEqual(['item', 'must'])
  })

  test('@skip and @include decide by variables and their defaults', async () => {
    await using gateway = await testGateway(subgraphs)
    const source = `query ($name: Boolean!, $notes: Boolean = false) {
      person(id: "1") { id name @include(if: $name) notes @include(if: $notes) { text } email @skip(if: $name) }
    }`
    const all = await gateway.query(source, { name: true, notes: true })
    expect(all.data).toEqual({
      person: { id: '1', name: 'Ada', notes: [{ text: 'first' }, { text: 'third' }] },
    })
    const few = await gateway.query(source, { name: false })
    expect(few.data).toEqual({ person: { id: '1', email: 'ada@example.org' } })
  })

  test('fragments on interfaces, aliases and __typename', async () => {
    await using gateway = await testGateway(subgraphs)
    const { data } = await gateway.query(`{
      all: feed { kind: __typename ... on Note { id by: author { who: name __typename } } ...L }
    } fragment L on Link { url id }`)
    expect(JSON.stringify(data)).toBe(
      '{"all":[{"kind":"Note","id":"a","by":{"who":"Ada","__typename":"Person"}},{"kind":"Link","url":"https://example.org","id":"x"}]}',
    )
  })

  test('introspection stands beside data', async () => {
    await using gateway = await testGateway(subgraphs)
    const { data } = await gateway.query(
      'query ($type: String!) { __typename person(id: "2") { email } it: __type(name: $type) { name } }',
      { type: 'Note' },
    )
    expect(JSON.stringify(data)).toBe('{"__typename":"Query","person":{"email":null},"it":{"name":"Note"}}')
  })

  test('a client may call its fields like the properties every object has', async () => {
    await using gateway = await testGateway(subgraphs)
    const { data } = await gateway.query('{ person(id: "1") { constructor: name notes { toString: text } } }')
    expect(JSON.stringify(data)).toBe(
      '{"person":{"constructor":"Ada","notes":[{"toString":"first"},{"toString":"third"}]}}',
    )
  })

  test('variables that cannot be coerced are errors before any subgraph is asked', async () => {
    await using gateway = await testGateway(subgraphs)
    const result = await gateway.query('query ($id: ID!) { person(id: $id) { name } }', {})
    expect(result.data).toBeUndefined()
    expect(result.errors?.[0]?.message).toMatch(/^Variable "\$id" of required type/)
    expect(gateway.asked).toEqual([])
  })

  test('a mutation goes on in other subgraphs with what it wrote', async () => {
    await using gateway = await testGateway(subgraphs)
    const { data } = await gateway.query('mutation { rename(id: "2", name: "Bea") { name notes { id } } }')
    expect(data).toEqual({ rename: { name: 'Bea', notes: [{ id: 'b' }] } })
  })

  test('a subgraph that cannot be asked leaves the rest of the answer', async () => {
    const { executor } = localSubgraphs(subgraphs)
    await using gateway = await testGateway(subgraphs, {
      executor: (request, signal) => {
        if (request.subgraph === 'people') return Promise.reject(new Error('connect ECONNREFUSED 10.0.0.1'))
        return executor(request, signal)
      },
    })
    const { data, errors } = await gateway.query('{ feed { id } person(id: "1") { name } }')
    expect(data).toEqual({ feed: [{ id: 'a' }, { id: 'x' }], person: null })
    expect(errors?.map(({ message, extensions }) => [message, extensions.code])).toEqual([
      ['The subgraph "people" could not be asked.', 'SUBGRAPH_UNAVAILABLE'],
    ])
  })
})

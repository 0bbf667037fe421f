import { composeServices } from '@apollo/composition'
import { parse } from 'graphql'

/** A list of items in one subgraph, and something of each item in another. */
const sdl: Readonly<Record<string, string>> = {
  items: `
    type Query { items(first: Int!): [Item!]! }
    type Item @key(fields: "id") { id: ID! name: String! note: String! tags: [String!]! price: Float! }
  `,
  stock: 'type Item @key(fields: "id") { id: ID! left: Int! }',
}

const link = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@key"])\n'

export function supergraph(url: string): string {
  const composed = composeServices(
    Object.entries(sdl).map(([name, text]) => ({ name, url: `${url}/${name}`, typeDefs: parse(link + text) })),
  )
  if (composed.errors !== undefined) throw new AggregateError(composed.errors)
  return composed.supergraphSdl
}

interface Item {
  readonly __typename: 'Item'
  readonly id: string
  readonly name: string
  readonly note: string
  readonly tags: readonly string[]
  readonly price: number
}

export function itemAt(index: number): Item {
  return {
    __typename: 'Item',
    id: `item-${index}`,
    name: `Item number ${index}`,
    note: `What is to be said of "${index}", which is neither long nor short and about as much as people write.`,
    tags: ['one', 'two', `tag-${index % 100}`],
    price: index / 100,
  }
}

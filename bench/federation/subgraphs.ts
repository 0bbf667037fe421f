import { composeServices } from '@apollo/composition'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { execute, parse, type GraphQLSchema } from 'graphql'

/**
 * Four subgraphs in the shape of the usual federation benchmark: users write reviews of products, products are in
 * stock. Entities nest three deep, so the same few users and products stand in the answer many times.
 */
const userCount = 6
const productCount = 9
const reviewsPerUser = 4

const users = Array.from({ length: userCount }, (_, index) => ({
  id: `${index + 1}`,
  name: `User number ${index + 1}`,
  username: `user-${index + 1}`,
  birthday: 19_700 + index,
}))
const products = Array.from({ length: productCount }, (_, index) => ({
  upc: `${index + 1}`,
  name: `Product number ${index + 1} of the benchmark, with a long name`,
  price: 100 + index * 37,
  weight: 10 + index * 13,
  inStock: index % 3 !== 0,
}))
const reviews = users.flatMap((user, at) =>
  Array.from({ length: reviewsPerUser }, (_, index) => ({
    id: `${at * reviewsPerUser + index + 1}`,
    body: `What ${user.username} thinks of it, part ${index + 1}: it works, it was delivered on time, and it can be sent back.`,
    authorId: user.id,
    productUpc: `${((at * 2 + index) % productCount) + 1}`,
  })),
)

type Keyed = { id: string; upc: string; price: number; weight: number }

const definitions = {
  accounts: {
    sdl: `
      type Query { me: User users: [User] }
      type User @key(fields: "id") { id: ID! name: String username: String birthday: Int }
    `,
    resolvers: {
      Query: { me: () => users[0], users: () => users },
      User: { __resolveReference: ({ id }: Keyed) => users.find((user) => user.id === id) },
    },
  },
  inventory: {
    sdl: `
      type Product @key(fields: "upc") {
        upc: String! weight: Int @external price: Int @external inStock: Boolean
        shippingEstimate: Int @requires(fields: "price weight")
      }
    `,
    resolvers: {
      Product: {
        __resolveReference: (reference: Keyed) => ({
          ...reference,
          inStock: products.find(({ upc }) => upc === reference.upc)?.inStock,
        }),
        shippingEstimate: ({ price, weight }: Keyed) => (price > 300 ? 0 : weight * 2),
      },
    },
  },
  products: {
    sdl: `
      type Query { topProducts(first: Int = 5): [Product] }
      type Product @key(fields: "upc") { upc: String! name: String price: Int weight: Int }
    `,
    resolvers: {
      Query: { topProducts: (_: unknown, { first }: { first: number }) => products.slice(0, first) },
      Product: { __resolveReference: ({ upc }: Keyed) => products.find((product) => product.upc === upc) },
    },
  },
  reviews: {
    sdl: `
      type Review @key(fields: "id") { id: ID! body: String author: User product: Product }
      type User @key(fields: "id") { id: ID! reviews: [Review] }
      type Product @key(fields: "upc") { upc: String! reviews: [Review] }
    `,
    resolvers: {
      Review: {
        author: ({ authorId }: { authorId: string }) => ({ id: authorId }),
        product: ({ productUpc }: { productUpc: string }) => ({ upc: productUpc }),
      },
      User: { reviews: ({ id }: Keyed) => reviews.filter(({ authorId }) => authorId === id) },
      Product: { reviews: ({ upc }: Keyed) => reviews.filter(({ productUpc }) => productUpc === upc).slice(0, 2) },
    },
  },
}

export type SubgraphName = keyof typeof definitions

export const subgraphNames = Object.keys(definitions) as SubgraphName[]

export const query = `
  fragment User on User { id username name }
  fragment Review on Review { id body }
  fragment Product on Product { inStock name price shippingEstimate upc weight }
  query Benchmark {
    users {
      ...User
      reviews { ...Review product { ...Product reviews { ...Review author { ...User reviews { ...Review product { ...Product } } } } } }
    }
    topProducts {
      ...Product
      reviews { ...Review author { ...User reviews { ...Review product { ...Product } } } }
    }
  }
`

const link =
  'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@requires", "@external"])\n'

export function supergraph(urlOf: (name: SubgraphName) => string): string {
  const result = composeServices(
    subgraphNames.map((name) => ({ name, url: urlOf(name), typeDefs: parse(link + definitions[name].sdl) })),
  )
  if (result.errors !== undefined) throw new Error(result.errors.map(({ message }) => message).join('\n'))
  return result.supergraphSdl
}

/**
 * Answers as text, each worked out once: what is measured is the gateway, and a subgraph costs as little as a subgraph
 * can. Keyed by the whole request, so nothing is answered that was not asked.
 */
export function createAnswerer(): (name: SubgraphName, body: string) => Promise<string> {
  const known = new Map<string, string>()
  const schemas = new Map<SubgraphName, GraphQLSchema>(
    subgraphNames.map((name) => {
      const { sdl, resolvers } = definitions[name]
      return [name, buildSubgraphSchema([{ typeDefs: parse(link + sdl), resolvers }])]
    }),
  )
  return async (name, body) => {
    const key = `${name}${body}`
    const text = known.get(key)
    if (text !== undefined) return text
    const schema = schemas.get(name)
    if (schema === undefined) throw new Error(`no subgraph ${name}`)
    const request = JSON.parse(body) as { query: string; variables?: Record<string, unknown> }
    const result = await execute({ schema, document: parse(request.query), variableValues: request.variables ?? {} })
    const answer = JSON.stringify(result)
    known.set(key, answer)
    return answer
  }
}

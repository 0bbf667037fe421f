import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { itemAt } from './subgraphs.ts'

/** Both subgraphs: answers whole, from memory, and as fast as it can, so that what is seen is the gateway. */
interface Asked {
  readonly variables: { readonly first?: number; readonly representations?: readonly { readonly id: string }[] }
}
const lists = new Map<number, string>()

const server = createServer((request, response) => {
  void text(request).then((body) => {
    const { first = 0, representations = [] } = (JSON.parse(body) as Asked).variables
    response.setHeader('content-type', 'application/json')
    if (request.url === '/stock') {
      const entities = representations.map(({ id }) => ({ __typename: 'Item', left: id.length }))
      return response.end(JSON.stringify({ data: { _entities: entities } }))
    }
    const known =
      lists.get(first) ??
      JSON.stringify({ data: { items: Array.from({ length: first }, (_, index) => itemAt(index)) } })
    lists.set(first, known)
    return response.end(known)
  })
})
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))

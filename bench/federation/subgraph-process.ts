import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAnswerer, subgraphNames, type SubgraphName } from './subgraphs.ts'

/** The four subgraphs on one port, by path. `GET /count` tells how many requests came and starts counting anew. */
const answer = createAnswerer()
let count = 0

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.end(JSON.stringify({ count }))
    count = 0
    return
  }
  const name = subgraphNames.find((candidate) => request.url === `/${candidate}`)
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    count += 1
    void reply(name, Buffer.concat(chunks).toString('utf8')).then((text) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
      response.end(text)
    })
  })
})

async function reply(name: SubgraphName | undefined, body: string): Promise<string> {
  return name === undefined ? '{"errors":[{"message":"no such subgraph"}]}' : answer(name, body)
}

server.keepAliveTimeout = 120_000
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }))
process.on('disconnect', () => process.exit(0))

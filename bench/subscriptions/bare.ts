import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { WebSocketServer } from 'ws'

/** The baseline: a bare `ws` server that sends every line of a posted body to everyone. */
const http = createServer((request, response) => {
  void text(request).then((body) => {
    for (const line of body.split('\n')) for (const client of sockets.clients) client.send(line)
    response.end()
  })
})
const sockets = new WebSocketServer({ server: http })
http.listen(0, '127.0.0.1', () => console.log(`ready http://127.0.0.1:${(http.address() as AddressInfo).port}/`))

import { readFileSync } from 'node:fs'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const files = {
  'console.css': 'text/css; charset=utf-8',
  'console.js': 'text/javascript; charset=utf-8',
} as const

/** Nothing but our own files, no inline script, no frame around it: what a key is typed into runs nobody else's code. */
const securityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The console page, for development: at `/`, and at `/graphql` for browsers. Works offline. */
export function addConsole(app: FastifyInstance): void {
  const page = read('console.html')
  const showPage = (reply: FastifyReply): FastifyReply => send(reply, 'text/html; charset=utf-8', page)

  app.get('/', async (_request, reply) => showPage(reply))
  for (const [name, type] of Object.entries(files)) {
    const text = read(name)
    app.get(`/console/${name}`, async (_request, reply) => send(reply, type, text))
  }
  app.addHook('onRequest', async (request, reply) => (wantsPage(request) ? showPage(reply) : undefined))
}

function wantsPage(request: FastifyRequest): boolean {
  return request.method === 'GET' && request.url === '/graphql' && (request.headers.accept ?? '').includes('text/html')
}

function send(reply: FastifyReply, type: string, text: string): FastifyReply {
  return reply
    .header('content-type', type)
    .header('content-security-policy', securityPolicy)
    .header('referrer-policy', 'no-referrer')
    .header('x-content-type-options', 'nosniff')
    .header('cache-control', 'no-cache')
    .send(text)
}

function read(name: string): string {
  return readFileSync(new URL(`../console/${name}`, import.meta.url), 'utf8')
}

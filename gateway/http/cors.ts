import type { FastifyInstance } from 'fastify'

const allowedHeaders =
  'authorization, content-type, x-api-key, ledgerway-position, ledgerway-request-id, last-event-id, apollo-require-preflight, x-apollo-operation-name, apollographql-client-name, apollographql-client-version'
const exposedHeaders = 'ledgerway-position, ledgerway-request-id, ledgerway-cache, retry-after'

/**
 * Lets pages of other origins in: those listed, or all with `*`. Without cookies there is nothing a foreign page could
 * borrow, so what this guards is only who may read answers with a key of their own.
 */
export function addCors(app: FastifyInstance, deps: { origins: readonly string[] }): void {
  const origins = new Set(deps.origins)
  const all = origins.has('*')
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers
    if (origin === undefined || !(all || origins.has(origin))) return undefined
    void reply.header('access-control-allow-origin', all ? '*' : origin)
    void reply.header('access-control-expose-headers', exposedHeaders)
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return undefined
    // Browsers ask this of a server on the user's own machine or network.
    if (request.headers['access-control-request-private-network'] === 'true') {
      void reply.header('access-control-allow-private-network', 'true')
    }
    return reply
      .code(204)
      .header('access-control-allow-methods', 'GET, POST')
      .header('access-control-allow-headers', allowedHeaders)
      .header('access-control-max-age', '600')
      .send()
  })
}

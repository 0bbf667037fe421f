import { auditServer } from 'graphql-http'
import { expect, test } from 'vitest'
import { keys, send, startEdge } from './harness.ts'

/**
 * Where we differ from the GraphQL-over-HTTP specification's SHOULDs. Errors before execution are answered with the status
 * of their code also as `application/json`, as Apollo Server does: clients, proxies and logs see them as what they are.
 */
const expectedWarnings = [
  'SHOULD use 200 status code on document parsing failure when accepting application/json',
  'SHOULD use 200 status code on document validation failure when accepting application/json',
  'SHOULD use a status code of 200 on variable coercion failure when accepting application/json',
]

test('the GraphQL-over-HTTP audit finds nothing that we do not know of', async () => {
  await using edge = await startEdge()
  const results = await auditServer({
    url: edge.url,
    fetchFn: (url: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers)
      headers.set('authorization', `Bearer ${keys.admin}`)
      headers.set('apollo-require-preflight', 'true')
      return send(url, { ...init, headers })
    },
  })
  const of = (status: string): string[] => results.flatMap((result) => (result.status === status ? [result.name] : []))
  expect(of('error')).toEqual([])
  expect([...of('warn')].sort()).toEqual([...expectedWarnings].sort())
  expect(results.length).toBeGreaterThan(55)
})

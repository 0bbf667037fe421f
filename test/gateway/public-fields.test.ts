import { readFileSync } from 'node:fs'
import { buildSchema, getOperationAST, parse } from 'graphql'
import { describe, expect, test } from 'vitest'
import { readPublicMarks, selectsOnlyPublic } from '../../gateway/public-fields.ts'
import { subgraphNames, subgraphSdl } from '../../schema/sdl.ts'

const sdl = readFileSync(new URL('../../schema/supergraph.graphql', import.meta.url), 'utf8')
const schema = buildSchema(sdl, { assumeValid: true })
const marks = readPublicMarks(parse(sdl))

function isPublic(query: string): boolean {
  const document = parse(query)
  const operation = getOperationAST(document)
  if (operation == null) throw new Error('one operation')
  return selectsOnlyPublic(schema, marks, document, operation)
}

describe('in our own schema', () => {
  test.each([
    '{ company(id: "a") { id name identifiers { scheme value } sector { code name } seat createdAt } }',
    '{ companies(first: 5, search: "a") { nodes { name } edges { cursor node { id } } pageInfo { endCursor hasNextPage } } }',
    '{ companyByIdentifier(scheme: "symbol", value: "MMM") { name } sectors { code name } }',
    '{ company(id: "a") { network { nodes { company { name } } edges { kind } } relationshipStats { total } } }',
    '{ _entities(representations: []) { ... on Company { name sector { name } } } }',
    'subscription { companyChanged(companyId: "a") { cursor kind company { name } } }',
  ])('%s is public', (query) => expect(isPublic(query)).toBe(true))

  test.each([
    '{ company(id: "a") { name ledger { size } } }',
    '{ company(id: "a") { name webhooks { url } } }',
    '{ company(id: "a") { users { name } } }',
    '{ company(id: "a") { relationships { pageInfo { endCursor } } } }',
    '{ relationship(id: "a~b~supply") { buyer { name } } }',
    '{ record(id: "a:0") { kind } }',
    '{ jobs { id } }',
    '{ apiKeys { id } }',
    '{ shards { name } }',
    '{ _entities(representations: []) { ... on Company { name } ... on User { name } } }',
    'mutation { updateCompany(input: { id: "a" }) { company { name } } }',
    'subscription { recordAppended(companyId: "a") { cursor } }',
    'subscription { companyChanged(companyId: "a") { company { webhooks { url } } } }',
  ])('%s is private', (query) => expect(isPublic(query)).toBe(false))

  test('no subgraph marks a field public that another subgraph builds', () => {
    for (const name of subgraphNames.filter((each) => each !== 'companies')) {
      expect(subgraphSdl(name).match(/^type .*scope: PUBLIC/gm) ?? []).toEqual([])
    }
  })
})

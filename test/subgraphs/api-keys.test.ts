import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseCompanyId } from '../../core/ids.ts'
import type { Principal } from '../../core/request.ts'
import { companyKey, createSubgraphWorld, type SubgraphWorld } from './world.ts'

let world: SubgraphWorld
beforeAll(async () => {
  world = await createSubgraphWorld({ shardCount: 1 })
  for (const id of ['acme', 'other']) await world.companies.create({ id: parseCompanyId(id), name: id }, {})
})
afterAll(() => world[Symbol.asyncDispose]())

const create = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
  key apiKey { id companyId scopes label revokedAt } } }`
const narrow: Principal = {
  kind: 'company',
  companyId: parseCompanyId('acme'),
  keyId: 'narrow',
  scopes: ['key.write', 'ledger.read'],
}

test('a company makes, sees and revokes its own keys', async () => {
  const as = companyKey('acme')
  const made = await world.inProcess('ops', create, { as, variables: { input: { companyId: 'acme', label: 'shop' } } })
  expect(made.codes).toEqual([])
  const { key, apiKey } = made.data['createApiKey'] as unknown as { key: string; apiKey: { id: string } }
  expect(key).toMatch(/^lwk_/)
  expect(apiKey).toMatchObject({ companyId: 'acme', scopes: ['*'], label: 'shop', revokedAt: null })

  const list = async (who: Principal, of?: string): Promise<unknown> => {
    const query = 'query ($of: ID) { apiKeys(companyId: $of) { id revokedAt } }'
    const { data, codes } = await world.inProcess('ops', query, { as: who, variables: { of: of ?? null } })
    return codes.length > 0 ? codes : data['apiKeys']
  }
  expect(await list(as)).toEqual([{ id: apiKey.id, revokedAt: null }])
  expect(await list(companyKey('other'))).toEqual([])
  expect(await list(companyKey('other'), 'acme')).toEqual(['FORBIDDEN'])

  const revoke = async (who: Principal): Promise<unknown> => {
    const variables = { id: apiKey.id }
    const answer = await world.inProcess('ops', 'mutation ($id: ID!) { revokeApiKey(id: $id) }', { as: who, variables })
    return answer.codes.length > 0 ? answer.codes : answer.data['revokeApiKey']
  }
  expect(await revoke(companyKey('other'))).toEqual(['NOT_FOUND'])
  expect(await revoke(as)).toBe(true)
  expect(await revoke(as)).toBe(false)
  expect(await list(as)).toEqual([{ id: apiKey.id, revokedAt: expect.any(String) as string }])
})

test.each<[string, Principal | undefined, Record<string, unknown>, string]>([
  ['for another company', companyKey('acme'), { companyId: 'other', label: 'x' }, 'FORBIDDEN'],
  ['of an administrator, by a company', companyKey('acme'), { label: 'x' }, 'FORBIDDEN'],
  [
    'that may do more than its maker',
    narrow,
    { companyId: 'acme', label: 'x', scopes: ['ledger.append'] },
    'FORBIDDEN',
  ],
  ['with a right that there is not', undefined, { companyId: 'acme', label: 'x', scopes: ['fly'] }, 'BAD_USER_INPUT'],
  ['without a label', undefined, { companyId: 'acme', label: ' ' }, 'BAD_USER_INPUT'],
  ['for a company that there is not', undefined, { companyId: 'nobody', label: 'x' }, 'NOT_FOUND'],
])('a key %s is refused', async (_, as, input, code) => {
  const answer = await world.inProcess('ops', create, { variables: { input }, ...(as === undefined ? {} : { as }) })
  expect(answer.codes).toEqual([code])
})

test('a key made with a narrow key is as narrow', async () => {
  const variables = { input: { companyId: 'acme', label: 'robot' } }
  const { data } = await world.inProcess('ops', create, { as: narrow, variables })
  expect(data['createApiKey']).toMatchObject({ apiKey: { scopes: ['key.write', 'ledger.read'] } })
})

import { describe, expect, test } from 'vitest'
import { type Action, actions, authorize, can, rights } from '../../access/rights.ts'
import { parseCompanyId } from '../../core/ids.ts'
import { anonymous, type Principal } from '../../core/request.ts'

const acme = parseCompanyId('acme')
const other = parseCompanyId('other')
const company = (scopes: readonly string[] = ['*']): Principal => ({
  kind: 'company',
  companyId: acme,
  keyId: 'k1',
  scopes,
})
const admin = (scopes: readonly string[] = ['*']): Principal => ({ kind: 'admin', keyId: 'k2', scopes })

describe.each(actions)('%s', (action: Action) => {
  const { company: reach } = rights[action]

  test('is refused without a key', () => {
    expect(can(anonymous, action, acme)).toBe(false)
    expect(() => authorize(anonymous, action, acme)).toThrow(expect.objectContaining({ code: 'UNAUTHENTICATED' }))
  })

  test('is an administrator’s right for every company', () => {
    expect(can(admin(), action)).toBe(true)
    expect(can(admin(), action, other)).toBe(true)
  })

  test(`reaches ${reach} companies with a company’s key`, () => {
    expect(can(company(), action, acme)).toBe(reach !== 'none')
    expect(can(company(), action, other)).toBe(reach === 'any')
    expect(can(company(), action)).toBe(reach !== 'none')
  })

  test('is refused to a key whose scopes leave it out', () => {
    expect(can(company([]), action, acme)).toBe(false)
    expect(can(admin([]), action)).toBe(false)
    expect(can(admin([action]), action)).toBe(true)
    expect(() => authorize(admin([]), action)).toThrow(expect.objectContaining({ code: 'FORBIDDEN' }))
  })
})

test('a refusal says what was refused and not whether the company exists', () => {
  expect(() => authorize(company(), 'ledger.read', other)).toThrow(
    'This key may not do "ledger.read" for this company.',
  )
})

import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Principal } from '../core/request.ts'

/**
 * Who may do what, as data. `company`: what a company's key may do, on any company or only on its own. Administrators may
 * do all of it; without a key nothing of it is allowed. `docs/security.md` shows this table and a test holds it equal.
 */
export const rights = {
  'company.read': { company: 'any' },
  'company.create': { company: 'none' },
  'company.update': { company: 'own' },
  'ledger.read': { company: 'own' },
  'ledger.append': { company: 'own' },
  'ledger.erase': { company: 'own' },
  'ledger.publish': { company: 'own' },
  'private.read': { company: 'own' },
  'schema.write': { company: 'own' },
  'webhook.read': { company: 'own' },
  'webhook.write': { company: 'own' },
  'job.read': { company: 'own' },
  'job.submit': { company: 'own' },
  'key.read': { company: 'own' },
  'key.write': { company: 'own' },
  'relationship.read': { company: 'own' },
  'relationship.write': { company: 'own' },
  'network.read': { company: 'any' },
  'user.read': { company: 'own' },
  'user.write': { company: 'own' },
  'ops.read': { company: 'none' },
  'ops.write': { company: 'none' },
} as const satisfies Record<string, { company: 'any' | 'own' | 'none' }>

export type Action = keyof typeof rights

export const actions = Object.keys(rights) as readonly Action[]

/** In a key's scopes: everything its owner may do. */
export const allScopes = '*'

/**
 * Whether `principal` may do `action`, to `companyId` where the action concerns one company. A company's key asked without
 * a company (`jobs` in general) is allowed what it may do to its own; the caller MUST then keep the answer to that company.
 */
export function can(principal: Principal, action: Action, companyId?: CompanyId): boolean {
  if (principal.kind === 'anonymous') return false
  if (!principal.scopes.includes(allScopes) && !principal.scopes.includes(action)) return false
  if (principal.kind === 'admin') return true
  const { company } = rights[action]
  if (company === 'own') return companyId === undefined || companyId === principal.companyId
  return company === 'any'
}

/** @throws AppError UNAUTHENTICATED without a key, FORBIDDEN with one that does not suffice */
export function authorize(principal: Principal, action: Action, companyId?: CompanyId): void {
  if (can(principal, action, companyId)) return
  if (principal.kind === 'anonymous') throw unauthenticated()
  // Does not say whether the company exists.
  throw new AppError(
    'FORBIDDEN',
    `This key may not do "${action}"${companyId === undefined ? '' : ' for this company'}.`,
    {
      details: { action },
    },
  )
}

export function unauthenticated(): AppError {
  return new AppError(
    'UNAUTHENTICATED',
    'A valid API key is needed: send "authorization: Bearer KEY" or "x-api-key: KEY".',
  )
}

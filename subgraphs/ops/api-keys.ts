import type { KeyInfo, KeyRing } from '../../access/keys.ts'
import { type Action, actions, allScopes, authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { pageSize } from '../../core/page-size.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import type { Principal } from '../../core/request.ts'
import type { Store, StoreScope } from '../../store/store.ts'

const maxKeys = 100

export interface NewApiKey {
  readonly companyId?: string | null | undefined
  readonly label: string
  readonly scopes?: readonly string[] | null | undefined
}

/**
 * API keys by API: a company manages its own, administrators those of everybody. Nobody can make a key that may do more
 * than the key it is made with.
 */
export function createApiKeys(deps: { keys: Pick<KeyRing, 'create' | 'revoke' | 'list' | 'find'>; store: Store }) {
  const { keys, store } = deps

  /** Without a company it is about administrators' keys, or about everybody's. */
  function authorizeFor(principal: Principal, action: Action, companyId: CompanyId | undefined): void {
    authorize(principal, action, companyId)
    if (companyId === undefined && principal.kind !== 'admin') {
      throw new AppError('FORBIDDEN', 'Only administrators may do this without a company.', { details: { action } })
    }
  }

  return {
    list(principal: Principal, companyId: string | null | undefined, first?: number | null): Promise<KeyInfo[]> {
      const count = pageSize(first, { most: maxKeys })
      const own = principal.kind === 'company' ? principal.companyId : undefined
      const asked = companyId == null ? own : parseCompanyId(companyId)
      authorizeFor(principal, 'key.read', asked)
      return keys.list({ first: count, ...(asked === undefined ? {} : { companyId: asked }) })
    },

    async create(
      principal: Principal,
      { companyId, label, scopes }: NewApiKey,
      createdBy: string,
      scope: StoreScope,
    ): Promise<{ apiKey: KeyInfo; key: string }> {
      const owner = companyId == null ? undefined : parseCompanyId(companyId)
      authorizeFor(principal, 'key.write', owner)
      if (label.trim() === '')
        throw new AppError('BAD_USER_INPUT', 'label: says what the key is for; it must not be empty')
      if (owner !== undefined) await checkCompany(store, owner, scope)
      const narrowed = scopesWithin(principal, scopes)
      const { info, key } = await keys.create({
        label,
        createdBy,
        ...(owner === undefined ? {} : { companyId: owner }),
        ...(narrowed === undefined ? {} : { scopes: narrowed }),
      })
      return { apiKey: info, key }
    },

    async revoke(principal: Principal, keyId: string): Promise<boolean> {
      authorize(principal, 'key.write')
      const key = await keys.find(keyId)
      // Whether another's key exists is not for everybody to know.
      if (key === undefined || (principal.kind === 'company' && key.companyId !== principal.companyId)) {
        throw new AppError('NOT_FOUND', 'There is no such key.')
      }
      return keys.revoke(keyId)
    },
  }
}

/** What the new key may do: what was asked for, else what the maker may; never more. Undefined: everything. */
function scopesWithin(
  principal: Principal,
  asked: readonly string[] | null | undefined,
): readonly Action[] | undefined {
  const own = principal.kind === 'anonymous' ? [] : principal.scopes
  const unknown = asked?.find((scope) => !actions.some((action) => action === scope))
  if (unknown !== undefined) throw new AppError('BAD_USER_INPUT', `scopes: there is no right "${unknown}"`)
  if (own.includes(allScopes)) return asked == null ? undefined : (asked as readonly Action[])
  const beyond = asked?.find((scope) => !own.includes(scope))
  if (beyond !== undefined) {
    throw new AppError('FORBIDDEN', `This key may not do "${beyond}", nor make a key that may.`, {
      details: { action: beyond },
    })
  }
  return (asked ?? own) as readonly Action[]
}

/** @throws AppError NOT_FOUND */
export async function checkCompany(store: Store, companyId: CompanyId, scope: StoreScope): Promise<void> {
  const rows = await store.readOne(
    companyId,
    (sql) => sql`select 1 from companies where company_id = ${companyId}`,
    scope,
  )
  if (rows.length === 0) throw new AppError('NOT_FOUND', `There is no company ${companyId}.`)
}

import { parseArgs } from 'node:util'
import { createKeyRing, type KeyInfo } from '../../access/keys.ts'
import type { Action } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { readHeads } from '../../ledger/read.ts'
import type { Store } from '../../store/store.ts'
import type { Command } from './command.ts'
import { withData } from './with-data.ts'

const usage = `usage: ledgerway keys create --label TEXT (--company ID | --admin) [--scope RIGHT]…
       ledgerway keys list [--company ID]
       ledgerway keys revoke KEY_ID

  --label TEXT    for whom or what the key is
  --company ID    a key of this company; of "list": its keys only
  --admin         an administrator's key
  --scope RIGHT   narrows the key to this right (docs/security.md); repeat for several
`

const options = {
  label: { type: 'string' },
  company: { type: 'string' },
  admin: { type: 'boolean', default: false },
  scope: { type: 'string', multiple: true },
} as const

/** API keys: made, listed and revoked in the catalog; running processes learn of it at once. */
export const keysCommand: Command = { usage, options, run }

async function run(args: readonly string[], signal: AbortSignal): Promise<number | 'misused'> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [verb = '', keyId, ...more] = positionals
  if (
    !['create', 'list', 'revoke'].includes(verb) ||
    (verb === 'revoke') !== (keyId !== undefined) ||
    more.length > 0
  ) {
    return 'misused'
  }
  const { label } = values
  if (verb === 'create' && (label === undefined || values.admin === (values.company !== undefined))) return 'misused'
  const company = values.company === undefined ? {} : { companyId: parseCompanyId(values.company) }
  return withData({ signal }, async ({ store, bus }, { logger }) => {
    await using keys = createKeyRing({ catalog: store.catalog, bus, logger })
    if (keyId !== undefined) {
      if (!(await keys.revoke(keyId))) throw new AppError('NOT_FOUND', `There is no valid key ${keyId}.`)
      process.stdout.write(`revoked ${keyId}\n`)
    } else if (label !== undefined && verb === 'create') {
      if ('companyId' in company) await requireCompany(store, company.companyId)
      // The key ring refuses a scope that is none.
      const scopes = values.scope === undefined ? {} : { scopes: values.scope as Action[] }
      const { info, key } = await keys.create({ ...company, ...scopes, label, createdBy: 'cli' })
      process.stdout.write(`${line(info)}\nkey, shown only now: ${key}\n`)
    } else {
      for (const info of await keys.list({ ...company, first: 1000 })) process.stdout.write(`${line(info)}\n`)
    }
    return 0
  })
}

/** A mistyped id would be a key for whoever gets that id later. */
async function requireCompany(store: Store, companyId: CompanyId): Promise<void> {
  const [head] = await store.readOne(companyId, (sql) => readHeads(sql, [companyId]))
  if (head === undefined) throw new AppError('NOT_FOUND', `There is no company ${companyId}.`)
}

function line(info: KeyInfo): string {
  const state = info.revokedAt === undefined ? 'valid' : `revoked ${info.revokedAt.toISOString()}`
  return [info.keyId, info.companyId ?? 'administrator', state, info.label].join('\t')
}

import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { ShardTx } from '../store/store.ts'

/**
 * Makes sure that the company is there, and puts the transactions that change what is its own in a row: so an edge, which
 * is a fold, sees every action. Their appends would wait for each other at the head of the ledger anyway.
 * @throws AppError NOT_FOUND
 */
export async function lockCompany(tx: ShardTx, companyId: CompanyId): Promise<void> {
  const rows = await tx`select 1 from companies where company_id = ${companyId} for no key update`
  if (rows.length === 0) throw new AppError('NOT_FOUND', `There is no company ${companyId}.`)
}

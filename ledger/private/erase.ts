import { AppError, listTooLong } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { PositionToken } from '../../core/position.ts'
import type { ShardTx, StoreScope } from '../../store/store.ts'
import { dropExports } from '../exports/stored-export.ts'
import type { Ledger, NewRecord } from '../ledger.ts'
import { ownSource } from '../own-records.ts'

export interface Erased {
  /** In order. */
  readonly positions: number[]
  readonly position: PositionToken
}

interface ErasedBy {
  readonly actor?: string | undefined
  readonly scope?: StoreScope | undefined
}

const maxPositions = 1000

/**
 * Erases the private parts of one person: destroys the subject's key (which reaches backups too), removes the parts with
 * their salts, exported bundles that hold them too, and says so with one `ledger.erased` record each, in one transaction. Later parts of the same subject begin
 * under a new key. A subject without parts: nothing happens.
 */
export async function eraseSubject(
  ledger: Ledger,
  companyId: CompanyId,
  subject: string,
  { actor, scope }: ErasedBy = {},
): Promise<Erased> {
  const { value, position } = await ledger.change(
    companyId,
    async (tx) => {
      await lockHead(tx, companyId)
      await tx`delete from ledger_subjects where company_id = ${companyId} and subject = ${subject}`
      const rows = await tx<{ position: number }[]>`
        update ledger_records set private = null, private_subject = null
        where company_id = ${companyId} and private_subject = ${subject} returning position`
      if (rows.length > 0) await dropExports(tx, companyId, { private: true })
      const positions = rows.map((row) => row.position).sort((a, b) => a - b)
      return {
        value: positions,
        records: positions.map((at) => erasedRecord({ part: 'private', position: at }, actor)),
      }
    },
    scope,
  )
  return { positions: value, position }
}

/**
 * Erases data, private part and salts of single records; what was erased before stays so.
 * @throws AppError NOT_FOUND | BAD_USER_INPUT (`ledger.erased` is never erased) | LIST_TOO_LONG
 */
export async function eraseRecords(
  ledger: Ledger,
  companyId: CompanyId,
  positions: readonly number[],
  { actor, scope }: ErasedBy = {},
): Promise<Erased> {
  if (positions.length > maxPositions) {
    throw listTooLong(`At most ${maxPositions} records are erased at once.`, maxPositions)
  }
  const { value, position } = await ledger.change(
    companyId,
    async (tx) => {
      await lockHead(tx, companyId)
      const rows = await tx<{ position: number; kind: string; erased: boolean }[]>`
        select position, kind, salt is null as erased from ledger_records
        where company_id = ${companyId} and position = any(${positions as number[]}::bigint[]) order by position`
      const missing = positions.find((at) => !rows.some((row) => row.position === at))
      if (missing !== undefined) {
        throw new AppError('NOT_FOUND', `There is no record ${companyId}:${missing}.`, {
          details: { position: missing },
        })
      }
      const never = rows.find(({ kind }) => kind === 'ledger.erased')
      if (never !== undefined) {
        throw new AppError('BAD_USER_INPUT', 'A record that tells of an erasure is never erased.', {
          details: { position: never.position },
        })
      }
      const wanted = rows.flatMap((row) => (row.erased ? [] : [row.position]))
      await tx`
        update ledger_records set data = null, packed = null, salt = null, private = null, private_subject = null
        where company_id = ${companyId} and position = any(${wanted}::bigint[])`
      if (wanted.length > 0) await dropExports(tx, companyId, { private: false })
      return { value: wanted, records: wanted.map((at) => erasedRecord({ position: at }, actor)) }
    },
    scope,
  )
  return { positions: value, position }
}

/** First here, not last: no record of the subject may be appended between the erasure and its own records. */
async function lockHead(tx: ShardTx, companyId: CompanyId): Promise<void> {
  const rows = await tx`select from ledger_heads where company_id = ${companyId} for update`
  if (rows.length === 0) {
    throw new AppError('NOT_FOUND', `There is no company ${companyId}.`, { details: { companyId } })
  }
}

function erasedRecord(data: { part?: 'private'; position: number }, actor: string | undefined): NewRecord {
  return { kind: 'ledger.erased', source: ownSource, stream: 'erasures', data, actor }
}

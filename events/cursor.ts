import { AppError } from '../core/errors.ts'
import { type CompanyId, parseRecordId, recordId } from '../core/ids.ts'

/** Stands behind the record at `position`; -1 stands before the first. Opaque to clients. */
export function encodeCursor(companyId: CompanyId, position: number): string {
  return Buffer.from(position < 0 ? `${companyId}:` : recordId(companyId, position), 'latin1').toString('base64url')
}

/** The position it stands behind, -1 before the first. @throws AppError INVALID_CURSOR where it is not one of this ledger */
export function decodeCursor(companyId: CompanyId, cursor: string): number {
  const text = cursor.length > 128 ? '' : Buffer.from(cursor, 'base64url').toString('latin1')
  if (text === `${companyId}:`) return -1
  try {
    const id = parseRecordId(text)
    if (id.companyId === companyId && encodeCursor(companyId, id.position) === cursor) return id.position
  } catch {
    // Told below, in the cursor's own terms.
  }
  throw new AppError('INVALID_CURSOR', 'The cursor is not one that this subscription gave out for this company.')
}

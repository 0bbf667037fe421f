import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Store, StoreScope } from '../store/store.ts'

/** A record's row with everything that a verification or an export needs; private parts still encrypted. */
export interface StoredRow {
  position: number
  batch_id: number
  kind: string
  source: string
  stream: string
  version: number
  recorded_at: string
  key: string | null
  header: string
  data: string | null
  packed: Buffer | null
  salt: Buffer | null
  data_commitment: Buffer
  private: Buffer | null
  private_subject: string | null
  private_commitment: Buffer | null
  leaf: Buffer
  previous_leaf: Buffer
}

/** Few rows when payloads are large, many when they are small: about so many bytes a page. */
const pageBytes = 4 * 1024 * 1024
const maxRows = 2_000

/**
 * The records `from` to `until - 1` in pages, in order, of bounded size whatever the payloads' is. Each page is a statement of
 * its own, so a long run holds no snapshot open; records do not change but by erasure. From the primary: a replica may lag behind
 * the head or checkpoint that the range was taken from.
 */
export async function* storedRows(
  store: Store,
  companyId: CompanyId,
  range: { from: number; until: number },
  scope?: StoreScope,
): AsyncGenerator<StoredRow[]> {
  let rows = 256
  for (let next = range.from; next < range.until;) {
    const page = await store.onPrimary(
      store.shardOf(companyId),
      (sql) => sql<StoredRow[]>`
        select position, batch_id, kind, source, stream, version, recorded_at, key, header, data, packed, salt,
          data_commitment, private, private_subject, private_commitment, leaf, previous_leaf
        from (
          -- The first row always; then as many as fit.
          select *, sum(octet_length(header) + coalesce(octet_length(data), octet_length(packed), 0)
            + coalesce(octet_length(private), 0)) over (order by position) as bytes
          from ledger_records
          where company_id = ${companyId} and position >= ${next} and position < ${Math.min(range.until, next + rows)}
        ) page
        where bytes <= ${pageBytes} or position = ${next}
        order by position`,
      scope,
    )
    const last = page.at(-1)
    if (last === undefined) {
      throw new AppError('LEDGER_CORRUPT', `Record ${next} is missing.`, { details: { companyId, position: next } })
    }
    yield page
    rows = page.length < rows ? Math.max(16, page.length) : Math.min(maxRows, rows * 2)
    next = last.position + 1
  }
}

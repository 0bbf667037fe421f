import { AppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { ShardSql, ShardTx } from '../../store/store.ts'

/** The rows of an exported bundle: one for the export, one a chunk. Chunks are encrypted before they come here. */

/**
 * Plain bytes of every chunk but the last: small enough to hold a few dozen, large enough that a statement each does not
 * matter. Stored exports are read by it, so another size would need another name.
 */
export const chunkBytes = 1024 * 1024
const leftOverMs = 86_400_000

export interface ExportPlace {
  readonly companyId: CompanyId
  readonly id: string
}

export interface StoredExport {
  readonly private: boolean
  readonly wrappedKey: Buffer
  readonly chunks: number
  readonly bytes: number
  readonly size: number
  readonly sha256: Buffer
  readonly expiresAt: Date
}

/**
 * Begins an export, anew where an earlier try left something. Locks the company's exports. The oldest complete ones beyond
 * `keep` make room. @throws AppError OVERLOADED
 */
export async function beginExport(
  tx: ShardTx,
  place: ExportPlace,
  options: { run: string; private: boolean; wrappedKey: Buffer; expiresAt: Date; keep: number; shardBytes: number },
): Promise<void> {
  const { companyId, id } = place
  const others = await tx<{ id: string; complete: boolean }[]>`
    select id, sha256 is not null as complete from ledger_exports
    where company_id = ${companyId} and id <> ${id} order by created_at for update`
  const tooMany = others.length + 1 - options.keep
  const room = others.filter(({ complete }) => complete).slice(0, Math.max(0, tooMany))
  if (room.length < tooMany) throw new AppError('OVERLOADED', 'Too many exports of this ledger are being written.')
  await deleteExports(tx, companyId, [id, ...room.map((other) => other.id)])
  const [used] = await tx<[{ bytes: number }]>`select coalesce(sum(bytes), 0)::bigint as bytes from ledger_exports`
  if (used.bytes >= options.shardBytes) throw new AppError('OVERLOADED', 'There is no room for exports now.')
  await tx`
    insert into ledger_exports (company_id, id, run, private, wrapped_key, expires_at)
    values (${companyId}, ${id}, ${options.run}, ${options.private}, ${options.wrappedKey}, ${options.expiresAt})`
}

/**
 * One statement. The update locks the export's row, so that a deletion either comes first and refuses the chunk, or sees it.
 * False: the export is another try's by now, or gone.
 */
export async function addChunk(
  sql: ShardTx,
  { companyId, id }: ExportPlace,
  chunk: { run: string; number: number; plainBytes: number; sealed: Buffer; expiresAt: Date },
): Promise<boolean> {
  const rows = await sql`
    with mine as (
      update ledger_exports
      set chunks = ${chunk.number + 1}, bytes = bytes + ${chunk.plainBytes}, expires_at = ${chunk.expiresAt}
      where company_id = ${companyId} and id = ${id} and run = ${chunk.run} returning company_id, id
    )
    insert into ledger_export_chunks (company_id, id, number, sealed)
    select company_id, id, ${chunk.number}, ${chunk.sealed} from mine returning number`
  return rows.length === 1
}

/** False as `addChunk`. */
export async function completeExport(
  sql: ShardTx,
  { companyId, id }: ExportPlace,
  done: { run: string; size: number; sha256: Buffer; expiresAt: Date },
): Promise<boolean> {
  const rows = await sql`
    update ledger_exports set size = ${done.size}, sha256 = ${done.sha256}, expires_at = ${done.expiresAt}
    where company_id = ${companyId} and id = ${id} and run = ${done.run} returning id`
  return rows.length === 1
}

/** Complete ones only. */
export async function readExport(
  sql: ShardSql,
  { companyId, id }: ExportPlace,
  now: Date,
): Promise<StoredExport | undefined> {
  const [row] = await sql<StoredExport[]>`
    select private, wrapped_key as "wrappedKey", chunks, bytes, size, sha256, expires_at as "expiresAt"
    from ledger_exports
    where company_id = ${companyId} and id = ${id} and sha256 is not null and expires_at > ${now}`
  return row
}

/** Undefined where the export was deleted meanwhile. */
export async function readChunk(
  sql: ShardSql,
  { companyId, id }: ExportPlace,
  number: number,
): Promise<Buffer | undefined> {
  const [row] = await sql<{ sealed: Buffer }[]>`
    select sealed from ledger_export_chunks where company_id = ${companyId} and id = ${id} and number = ${number}`
  return row?.sealed
}

/**
 * What an erasure calls in its transaction: a bundle that holds what is erased goes with it, one that is being written too,
 * and is begun anew without it.
 */
export async function dropExports(tx: ShardTx, companyId: CompanyId, only: { private: boolean }): Promise<void> {
  const rows = await tx<{ id: string }[]>`
    select id from ledger_exports
    where company_id = ${companyId} and (private or not ${only.private}) for update`
  if (rows.length === 0) return
  await deleteExports(
    tx,
    companyId,
    rows.map(({ id }) => id),
  )
}

/** A try's own export, after it failed. */
export async function abandonExport(tx: ShardTx, { companyId, id }: ExportPlace, run: string): Promise<void> {
  const rows = await tx`
    select from ledger_exports where company_id = ${companyId} and id = ${id} and run = ${run} for update`
  if (rows.length > 0) await deleteExports(tx, companyId, [id])
}

/**
 * Deletes what is too old; answers how many. At most 100 at once. What lies where its company is not is its mover's, which
 * compares the copies; only after a day more it is taken for left over.
 */
export async function sweepExports(sql: ShardSql, now: Date): Promise<number> {
  return sql.begin(async (tx) => {
    const rows = await tx<{ company_id: CompanyId; id: string }[]>`
      select e.company_id, e.id from ledger_exports e
      where e.expires_at <= ${now} and (
        e.expires_at <= ${new Date(now.getTime() - leftOverMs)}
        or exists (select from ledger_heads h where h.company_id = e.company_id and h.here))
      limit 100 for update of e skip locked`
    for (const { company_id: companyId, id } of rows) await deleteExports(tx, companyId, [id])
    return rows.length
  })
}

/** In this order and as two statements: the second sees chunks that came while the first waited for the row. */
async function deleteExports(tx: ShardTx, companyId: CompanyId, ids: readonly string[]): Promise<void> {
  await tx`delete from ledger_exports where company_id = ${companyId} and id = any(${ids as string[]}::text[])`
  await tx`delete from ledger_export_chunks where company_id = ${companyId} and id = any(${ids as string[]}::text[])`
}

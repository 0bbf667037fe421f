import type { Sql, TransactionSql } from 'postgres'
import { parseLsn } from '../../core/position.ts'
import type { CompanyId } from '../../core/ids.ts'
import { fenceColumn, quote, type CompanyTable } from './company-tables.ts'
import { MoveInterrupted } from './move-row.ts'

/** Writers are never made to wait longer than this for a fence that itself has to wait. */
const fenceLockMs = 500

/*
 * Leases only grow, over all moves, and each shard keeps the highest that ever touched a company in `mover`. So a mover
 * that was held up, and wakes when the company has long been moved on or back, can do nothing on any shard.
 */

/**
 * Closes the company on its shard: when it commits, every earlier write has committed and every later one is refused
 * with LW001. Locks the bucket's row (against creations and writes without an append) and the ledger's head (appends).
 * @throws MoveInterrupted when another mover was here later
 */
export async function closeCompany(
  source: Sql,
  companyId: CompanyId,
  place: { lease: number; bucket: number; epoch: number },
): Promise<void> {
  const { lease, bucket, epoch } = place
  await source.begin(async (tx) => {
    await tx.unsafe(`set local lock_timeout = ${fenceLockMs}`)
    await tx`select from shard_buckets where bucket = ${bucket} for update`
    const closed = await tx`
      insert into company_places as p (company_id, here, epoch, mover) values (${companyId}, false, ${epoch}, ${lease})
      on conflict (company_id) do update set here = false, epoch = ${epoch}, mover = ${lease}
      where coalesce(p.mover, 0) <= ${lease}`
    if (closed.count === 0) throw new MoveInterrupted('lost')
    await setHeadHere(tx, companyId, false)
  })
}

/** Takes `closeCompany` back, unless a later mover has closed it again. */
export async function reopenCompany(source: Sql, companyId: CompanyId, lease: number): Promise<void> {
  await source.begin(async (tx) => {
    const reopened = await tx`
      update company_places set here = true, mover = ${lease} where company_id = ${companyId} and mover <= ${lease}`
    if (reopened.count > 0) await setHeadHere(tx, companyId, true)
  })
}

/**
 * Makes this mover the only one that may write the company's rows on this shard, where the company is not. Epoch 0 says
 * that they are no whole copy, as those of a closed company are: lists leave them out.
 * @throws MoveInterrupted when another mover was here later
 */
export async function takePlace(sql: Sql, companyId: CompanyId, lease: number): Promise<void> {
  await sql.begin(async (tx) => {
    const taken = await tx`
      insert into company_places as p (company_id, here, epoch, mover) values (${companyId}, false, 0, ${lease})
      on conflict (company_id) do update set here = false, epoch = 0, mover = ${lease}
      where coalesce(p.mover, 0) <= ${lease}`
    if (taken.count === 0) throw new MoveInterrupted('lost')
    await setHeadHere(tx, companyId, false)
  })
}

/** @throws MoveInterrupted when another mover took the place */
export async function holdPlace(tx: TransactionSql, companyId: CompanyId, lease: number): Promise<void> {
  const held = await tx`
    select from company_places where company_id = ${companyId} and not here and mover = ${lease} for update`
  if (held.count === 0) throw new MoveInterrupted('lost')
}

/**
 * Opens the company on its new shard, though nobody is sent there before the directory says so; what the old shard's
 * relay has not fed yet is fed here. Answers with the position that shows all of it.
 */
export async function openCompany(
  target: Sql,
  companyId: CompanyId,
  lease: number,
  epoch: number,
  tables: readonly CompanyTable[],
): Promise<bigint> {
  await target.begin(async (tx) => {
    await holdPlace(tx, companyId, lease)
    await setHeadHere(tx, companyId, true)
    await tx`update company_places set here = true, epoch = ${epoch} where company_id = ${companyId}`
    if (tables.some(({ name }) => name === 'feed_heads')) {
      await tx`insert into feed_dirty (company_id) values (${companyId})`
    }
  })
  const [row] = await target<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  return parseLsn(row?.lsn ?? '0/0')
}

/**
 * Deletes the company's rows in small transactions. Leaves its place and an empty head, which go on refusing writers: an
 * append that found no head would take the company for one that does not exist.
 */
export async function deleteRows(
  sql: Sql,
  companyId: CompanyId,
  lease: number,
  tables: readonly CompanyTable[],
  step: () => Promise<void>,
): Promise<void> {
  for (const table of tables) {
    if (table.name === fenceColumn.table) {
      await sql.begin(async (tx) => {
        await holdPlace(tx, companyId, lease)
        await emptyHead(tx, companyId, table)
      })
      continue
    }
    for (;;) {
      const { count } = await sql.begin(async (tx) => {
        await holdPlace(tx, companyId, lease)
        return tx.unsafe(
          `delete from ${quote(table.name)} where company_id = $1 and ctid = any (array(
             select ctid from ${quote(table.name)} where company_id = $1 limit 2000))`,
          [companyId],
        )
      })
      await step()
      if (count < 2000) break
    }
  }
}

/** In place, so that there is no moment without one. */
async function emptyHead(
  tx: TransactionSql,
  companyId: CompanyId,
  { name, columns, key }: CompanyTable,
): Promise<void> {
  const defaults = columns
    .filter((column) => !key.includes(column.name))
    .map((column) => `${quote(column.name)} = default`)
  await tx.unsafe(
    `update ${quote(name)} set ${[`${quote(fenceColumn.column)} = false`, ...defaults].join(', ')} where company_id = $1`,
    [companyId],
  )
}

async function setHeadHere(tx: TransactionSql, companyId: CompanyId, here: boolean): Promise<void> {
  const { table, column } = fenceColumn
  await tx.unsafe(`update ${quote(table)} set ${quote(column)} = $2 where company_id = $1`, [companyId, here])
}

import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, ShardTx } from '../store/store.ts'

/** Keeps everything for this counterpart from `position` on for later. */
export async function park(tx: ShardTx, companyId: CompanyId, partner: CompanyId, position: number): Promise<void> {
  await tx`
    insert into relationship_parked as p (company_id, partner_id, from_position)
    values (${companyId}, ${partner}, ${position})
    on conflict (company_id, partner_id) do update
      set from_position = least(p.from_position, excluded.from_position), touched = p.touched + 1`
}

export async function anyParked(sql: ShardSql, companyId: CompanyId): Promise<boolean> {
  const rows = await sql`select 1 from relationship_parked where company_id = ${companyId} limit 1`
  return rows.length > 0
}

/** Those of the counterparts that are parked; marks that something more waits for them. */
export async function touchParked(
  tx: ShardTx,
  companyId: CompanyId,
  partners: readonly CompanyId[],
): Promise<CompanyId[]> {
  const rows = await tx<{ partner_id: CompanyId }[]>`
    update relationship_parked set touched = touched + 1
    where company_id = ${companyId} and partner_id = any(${[...partners]})
    returning partner_id`
  return rows.map(({ partner_id }) => partner_id)
}

export interface Parked {
  readonly companyId: CompanyId
  readonly partnerId: CompanyId
  readonly fromPosition: number
  readonly touched: number
}

/** The next page of all of them; index: the primary key. */
export async function parkedBehind(sql: ShardSql, after: Parked | null, limit: number): Promise<Parked[]> {
  return await sql<Parked[]>`
    select company_id as "companyId", partner_id as "partnerId", from_position as "fromPosition", touched
    from relationship_parked
    where (company_id, partner_id) > (${after?.companyId ?? ''}, ${after?.partnerId ?? ''})
    order by company_id, partner_id limit ${limit}`
}

/** False where something more has been left waiting since the row was read. */
export async function unpark(tx: ShardTx, companyId: CompanyId, partner: CompanyId, touched: number): Promise<boolean> {
  const rows = await tx`
    delete from relationship_parked
    where company_id = ${companyId} and partner_id = ${partner} and touched = ${touched}
    returning 1`
  return rows.length > 0
}

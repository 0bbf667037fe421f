import { AppError, listTooLong } from '../core/errors.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'
import { parseSector } from './company.ts'

export interface Sector {
  readonly code: string
  readonly name: string
}

const maxSectors = 200

/**
 * Writes the sectors to every shard's copy, by code. Shards take it one by one and it can be repeated: after a failure,
 * the same call again brings all of them to the same state. Not a change of any company, so no ledger tells of it.
 * @throws AppError LIST_TOO_LONG | BAD_USER_INPUT | SHARD_UNAVAILABLE
 */
export async function putSectors(
  store: Store,
  sectors: readonly { code: string; name: string }[],
  scope?: StoreScope,
): Promise<Sector[]> {
  if (sectors.length > maxSectors) {
    throw listTooLong(`There are at most ${maxSectors} sectors.`, maxSectors)
  }
  const byCode = new Map(sectors.map(parseSector).map((sector) => [sector.code, sector]))
  const all = [...byCode.values()]
  for (const shard of store.shards) {
    await store.onPrimary(
      shard,
      (sql) => sql`
        insert into sectors (code, name)
        select code, name
        from unnest(${all.map(({ code }) => code)}::text[], ${all.map(({ name }) => name)}::text[]) as new(code, name)
        on conflict (code) do update set name = excluded.name where sectors.name <> excluded.name`,
      scope,
    )
  }
  return all
}

/** The shard's copy, in order of code. */
async function readSectors(sql: ShardSql): Promise<Sector[]> {
  return await sql<Sector[]>`select code, name from sectors order by code limit ${maxSectors}`
}

/** All sectors, from the first shard that answers: every copy is the same. @throws AppError SHARD_UNAVAILABLE */
export async function listSectors(store: Store, scope?: StoreScope): Promise<Sector[]> {
  let failure: unknown = new AppError('SHARD_UNAVAILABLE', 'No shard answers.')
  for (const shard of store.shards) {
    try {
      return await store.onPrimary(shard, readSectors, scope)
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** `Health Care` as `health-care`. */
export function sectorCode(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
    .slice(0, 64)
}

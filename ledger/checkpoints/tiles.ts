import DataLoader from 'dataloader'
import type { CompanyId } from '../../core/ids.ts'
import type { ShardSql, ShardTx } from '../../store/store.ts'
import { tileRoot, type TileReader, type TileRef } from '../tile-math.ts'

export const tileWidth = 256
const hashBytes = 32
/** Tiles built in one go: 2 MB of leaves. */
const tilesPerRound = 256

/** A tile of one of many ledgers. */
export type LedgerTile = TileRef & { readonly companyId: CompanyId }

/**
 * Reads tiles in one statement: complete ones as stored, the incomplete ones at a tree's right edge from the leaves or from
 * the roots of the tiles below. Indexes: the primary keys of tiles and records.
 */
export async function readTiles(sql: ShardSql, tiles: readonly LedgerTile[]): Promise<Buffer[]> {
  const rows = await sql<{ hashes: Buffer | null }[]>`
    select coalesce(
      (select substr(t.hashes, 1, w.width * 32) from ledger_tiles t
        where t.company_id = w.company_id and t.level = w.level and t.index = w.index),
      case when w.level = 0
        then (select string_agg(r.leaf, ''::bytea order by r.position) from ledger_records r
          where r.company_id = w.company_id
            and r.position >= w.index * 256 and r.position < w.index * 256 + w.width)
        else (select string_agg(b.root, ''::bytea order by b.index) from ledger_tiles b
          where b.company_id = w.company_id and b.level = w.level - 1
            and b.index >= w.index * 256 and b.index < w.index * 256 + w.width)
      end) as hashes
    from unnest(
      ${tiles.map(({ companyId }) => companyId)}::text[], ${tiles.map(({ level }) => level)}::integer[],
      ${tiles.map(({ index }) => index)}::bigint[], ${tiles.map(({ width }) => width)}::integer[]
    ) with ordinality as w (company_id, level, index, width, place)
    order by w.place`
  return rows.map(({ hashes }) => hashes ?? Buffer.alloc(0))
}

/** Reads tiles of one ledger. */
export function tileReader(sql: ShardSql, companyId: CompanyId): TileReader {
  return async (tiles) =>
    tiles.length === 0
      ? []
      : readTiles(
          sql,
          tiles.map((tile) => ({ ...tile, companyId })),
        )
}

/** At most: 4 MB of hashes. */
const tilesPerStatement = 512

/** Readers for many ledgers of one shard: what all of them ask for in one turn is read together, each tile once. */
export function sharedTileReader(
  read: (tiles: readonly LedgerTile[]) => Promise<readonly Buffer[]>,
): (companyId: CompanyId) => TileReader {
  const tiles = new DataLoader<LedgerTile, Buffer, string>(read, {
    cacheKeyFn: ({ companyId, level, index, width }) => `${companyId}/${level}/${index}/${width}`,
    maxBatchSize: tilesPerStatement,
  })
  return (companyId) => (wanted) => Promise.all(wanted.map((tile) => tiles.load({ ...tile, companyId })))
}

/**
 * Stores every tile that is complete in a tree of this size and not stored yet; building one twice gives the same. `inPlace`
 * runs a write in a transaction during which the company stays where it is.
 */
export async function storeTiles(
  sql: ShardSql,
  companyId: CompanyId,
  size: number,
  inPlace: (write: (tx: ShardTx) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  for (let level = 0; size >= tileWidth ** (level + 1); level++) {
    const complete = Math.floor(size / tileWidth ** (level + 1))
    const [row] = await sql<{ next: number }[]>`
      select coalesce(max(index) + 1, 0) as next from ledger_tiles where company_id = ${companyId} and level = ${level}`
    for (let from = row?.next ?? 0; from < complete; from += tilesPerRound) {
      const until = Math.min(complete, from + tilesPerRound)
      const built = await readHashes(sql, companyId, level, from * tileWidth, until * tileWidth)
      const tiles = built.map((tile) => tile.toString('hex'))
      const roots = built.map((tile) => Buffer.from(tileRoot(tile)).toString('hex'))
      await inPlace(
        (tx) => tx`
          insert into ledger_tiles (company_id, level, index, hashes, root)
          select ${companyId}, ${level}, ${from} + place - 1, decode(hashes, 'hex'), decode(root, 'hex')
          from unnest(${tiles}::text[], ${roots}::text[]) with ordinality as t (hashes, root, place)
          on conflict do nothing`,
      )
    }
  }
}

/** The hashes of one level, a buffer a tile. */
async function readHashes(
  sql: ShardSql,
  companyId: CompanyId,
  level: number,
  start: number,
  end: number,
): Promise<Buffer[]> {
  const rows =
    level === 0
      ? await sql<{ hashes: Buffer }[]>`
          select string_agg(leaf, ''::bytea order by position) as hashes from ledger_records
          where company_id = ${companyId} and position >= ${start} and position < ${end}
          group by position / 256 order by position / 256`
      : await sql<{ hashes: Buffer }[]>`
          select string_agg(root, ''::bytea order by index) as hashes from ledger_tiles
          where company_id = ${companyId} and level = ${level - 1} and index >= ${start} and index < ${end}
          group by index / 256 order by index / 256`
  return rows.map(({ hashes }) => {
    if (hashes.length !== tileWidth * hashBytes) throw new RangeError('a complete tile has 256 hashes')
    return hashes
  })
}

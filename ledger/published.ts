import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { PositionToken } from '../core/position.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'
import { readCheckpoints } from './checkpoints/read.ts'
import { tileReader, tileWidth } from './checkpoints/tiles.ts'
import { originOf } from './entry.ts'
import type { Ledger } from './ledger.ts'
import { entryOfRow, type EntryRow } from './proofs.ts'
import { parseTilePath, widthOf } from './tile-math.ts'
import { ownSource } from './own-records.ts'

/**
 * Publishes a ledger for everybody to follow, or takes that back: hashes and entries, never payloads. The decision is a
 * record itself. @throws AppError NOT_FOUND
 */
export async function publishLedger(
  ledger: Ledger,
  companyId: CompanyId,
  input: { published: boolean; actor?: string | undefined },
  scope?: StoreScope,
): Promise<{ position: PositionToken }> {
  const { published, actor } = input
  return ledger.change(
    companyId,
    async (tx) => {
      const [head] = await tx<{ published: boolean }[]>`
        select published from ledger_heads where company_id = ${companyId} for update`
      if (head === undefined) {
        throw new AppError('NOT_FOUND', `There is no company ${companyId}.`, { details: { companyId } })
      }
      if (head.published === published) return { value: null, records: [] }
      await tx`update ledger_heads set published = ${published} where company_id = ${companyId}`
      const kind = published ? 'ledger.published' : 'ledger.unpublished'
      return { value: null, records: [{ kind, source: ownSource, stream: 'publication', data: {}, actor }] }
    },
    scope,
  )
}

export interface PublishedFile {
  readonly body: Buffer
  readonly contentType: string
  /** Tiles never change, those of a width either: a larger one has another path. Checkpoints are replaced. */
  readonly immutable: boolean
}

/**
 * C2SP `tlog-tiles` below a ledger's URL: `checkpoint`, `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]`, as far as the
 * last signed checkpoint goes. Null for everything else, and for ledgers that are not published.
 */
export async function readPublished(
  store: Store,
  companyId: CompanyId,
  path: string,
  scope?: StoreScope,
): Promise<PublishedFile | null> {
  if (path.length > 100) return null
  // `tile/entries/…` has the paths of level 0.
  const entries = path.startsWith('tile/entries/')
  const tile = path === 'checkpoint' ? null : parseTilePath(entries ? path.replace('entries', '0') : path)
  if (tile === undefined) return null
  return store.readOne(
    companyId,
    async (sql) => {
      const [head] = await sql<{ published: boolean }[]>`
        select published from ledger_heads where company_id = ${companyId}`
      if (head?.published !== true) return null
      const [checkpoint] = await readCheckpoints(sql, [{ companyId, atLeast: null }])
      if (checkpoint === undefined) return null
      if (tile === null) {
        return { body: Buffer.from(checkpoint.note), contentType: 'text/plain; charset=utf-8', immutable: false }
      }
      if (tile.width > widthOf(tile.level, tile.index, checkpoint.size)) return null
      const body = entries
        ? await readEntries(sql, originOf(store.deployment, companyId), companyId, tile)
        : Buffer.from((await tileReader(sql, companyId)([tile]))[0] ?? [])
      return { body, contentType: 'application/octet-stream', immutable: true }
    },
    scope,
  )
}

/** Each entry after its length in two bytes, big-endian. */
async function readEntries(
  sql: ShardSql,
  origin: string,
  companyId: CompanyId,
  tile: { index: number; width: number },
): Promise<Buffer> {
  const start = tile.index * tileWidth
  const rows = await sql<(EntryRow & { position: number })[]>`
    select position, header, data_commitment, private_commitment, previous_leaf from ledger_records
    where company_id = ${companyId} and position >= ${start} and position < ${start + tile.width} order by position`
  return Buffer.concat(
    rows.flatMap((row) => {
      const entry = Buffer.from(entryOfRow(origin, row.position, row), 'utf8')
      const length = Buffer.alloc(2)
      length.writeUInt16BE(entry.length)
      return [length, entry]
    }),
  )
}

import { AppError } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'
import type { CheckpointSigner, StoredCheckpoint } from './checkpoints/signer.ts'
import { readTiles, sharedTileReader } from './checkpoints/tiles.ts'
import { entryText, originOf, textHash, zeroHash } from './entry.ts'
import { formatTlogProof } from './proof/tlog-proof.ts'
import { consistencyProofFromTiles, inclusionProofFromTiles, type TileReader } from './tile-math.ts'

/** Proofs of one deployment's ledgers, from stored tiles: three statements a shard, at any size and for any number of proofs. */
export interface Proofs {
  /**
   * C2SP `tlog-proof@v1` of each record with the smallest stored checkpoint that includes it, signing one where there is none
   * yet. In the order asked; null where there is no such record, and an error for itself where one cannot be proven.
   */
  recordProofs(places: readonly RecordPlace[], scope?: StoreScope): Promise<(string | null | Error)[]>
  /**
   * RFC 6962 consistency proof between the same two sizes of each ledger, hashes as `verifyConsistency` takes them; errors as
   * above, NOT_FOUND among them. @throws AppError BAD_USER_INPUT
   */
  consistencyProofs(
    companyIds: readonly CompanyId[],
    sizes: { from: number; to: number },
    scope?: StoreScope,
  ): Promise<(Uint8Array[] | Error)[]>
}

export interface RecordPlace {
  readonly companyId: CompanyId
  readonly position: number
}

/** What a proof is about: an entry to be proven, or none, and the checkpoint that it is proven under, where there is one. */
interface Found {
  readonly entry: EntryRow | null
  readonly checkpoint: StoredCheckpoint | null
}

export function createProofs(deps: { store: Store; signer: CheckpointSigner }): Proofs {
  const { store, signer } = deps

  /** Tiles above the lowest level are stored with checkpoints: there has to be one at least so large. */
  async function checkpointOf(
    companyId: CompanyId,
    size: number,
    found: StoredCheckpoint | null,
    signing: Map<CompanyId, Promise<StoredCheckpoint | null>>,
  ): Promise<StoredCheckpoint> {
    if (found !== null) return found
    // One for all proofs of the ledger, as large as it is now.
    const signed = signing.get(companyId) ?? signer.sign(companyId)
    signing.set(companyId, signed)
    const checkpoint = await signed
    if (checkpoint === null || checkpoint.size < size) {
      throw new AppError('NOT_FOUND', `The ledger has ${checkpoint?.size ?? 0} records, not ${size}.`)
    }
    return checkpoint
  }

  /** Tiles of many ledgers on one shard. On the primary: what the signer has just stored a replica may not have yet. */
  function tilesOf(scope: StoreScope | undefined): (companyId: CompanyId) => TileReader {
    const shards = new Map<ShardId, (companyId: CompanyId) => TileReader>()
    return (companyId) => {
      const shard = store.shardOf(companyId)
      const known = shards.get(shard)
      if (known !== undefined) return known(companyId)
      const made = sharedTileReader((tiles) => store.onPrimary(shard, (sql) => readTiles(sql, tiles), scope))
      shards.set(shard, made)
      return made(companyId)
    }
  }

  /** For each place its entry and the smallest checkpoint that is large enough. One statement a shard. */
  async function find(
    wanted: readonly (RecordPlace & { size: number })[],
    scope: StoreScope | undefined,
  ): Promise<(Found | Error)[]> {
    const byCompany = Map.groupBy(wanted, ({ companyId }) => companyId)
    const found = new Map<string, Found>()
    const failed = new Map<CompanyId, Error>()
    const results = await store.read(
      [...byCompany.keys()],
      (sql, companyIds) =>
        readFound(
          sql,
          companyIds.flatMap((companyId) => byCompany.get(companyId) ?? []),
        ),
      scope,
    )
    for (const result of results) {
      if (result.ok) for (const [key, value] of result.value) found.set(key, value)
      else for (const companyId of result.companyIds) failed.set(companyId, result.error)
    }
    return wanted.map(
      ({ companyId, position }) =>
        failed.get(companyId) ?? found.get(`${companyId}:${position}`) ?? { entry: null, checkpoint: null },
    )
  }

  return {
    async recordProofs(places, scope) {
      const wanted = places.map((place) => ({ ...place, size: place.position + 1 }))
      const found = await find(wanted, scope)
      const signing = new Map<CompanyId, Promise<StoredCheckpoint | null>>()
      // All checkpoints first, so that all proofs ask for their tiles in the same turn.
      const ready = await eachOrError(wanted, async ({ companyId, size }, index) => {
        const one = found[index] as Found | Error
        if (one instanceof Error) throw one
        if (one.entry === null) return null
        return { entry: one.entry, checkpoint: await checkpointOf(companyId, size, one.checkpoint, signing) }
      })
      const read = tilesOf(scope)
      return eachOrError(places, async ({ companyId, position }, index) => {
        const one = ready[index] ?? null
        if (one === null) return null
        if (one instanceof Error) throw one
        const { size, note } = one.checkpoint
        const proof = await inclusionProofFromTiles(position, size, read(companyId))
        const entry = Buffer.from(entryOfRow(originOf(store.deployment, companyId), position, one.entry), 'utf8')
        return formatTlogProof({ index: position, entry, proof, checkpoint: note })
      })
    },

    async consistencyProofs(companyIds, { from, to }, scope) {
      requireSize(from)
      requireSize(to)
      if (from > to) throw new AppError('BAD_USER_INPUT', 'A consistency proof goes from a smaller to a larger size.')
      const wanted = companyIds.map((companyId) => ({ companyId, position: to - 1, size: to }))
      const found = await find(wanted, scope)
      const signing = new Map<CompanyId, Promise<StoredCheckpoint | null>>()
      const ready = await eachOrError(companyIds, async (companyId, index) => {
        const one = found[index] as Found | Error
        if (one instanceof Error) throw one
        await checkpointOf(companyId, to, one.checkpoint, signing)
      })
      const read = tilesOf(scope)
      return eachOrError(companyIds, async (companyId, index) => {
        const one = ready[index]
        if (one instanceof Error) throw one
        return consistencyProofFromTiles(from, to, read(companyId))
      })
    },
  }
}

/** All at once; what one of them throws is its own result. */
function eachOrError<T, R>(items: readonly T[], fn: (item: T, index: number) => Promise<R>): Promise<(R | Error)[]> {
  return Promise.all(
    items.map((item, index) =>
      fn(item, index).catch((error: unknown) =>
        error instanceof Error ? error : new Error('unknown', { cause: error }),
      ),
    ),
  )
}

function requireSize(value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new AppError('BAD_USER_INPUT', 'Sizes are whole numbers from 1.')
  }
}

/** What an entry is made of, as stored. */
export interface EntryRow {
  header: string
  data_commitment: Buffer
  private_commitment: Buffer | null
  previous_leaf: Buffer
}

export function entryOfRow(origin: string, position: number, row: EntryRow): string {
  return entryText({
    origin,
    position,
    previousLeaf: row.previous_leaf,
    headerHash: textHash(row.header),
    dataCommitment: row.data_commitment,
    privateCommitment: row.private_commitment ?? zeroHash,
  })
}

/** Indexes: the primary keys of records and checkpoints. */
async function readFound(
  sql: ShardSql,
  wanted: readonly (RecordPlace & { size: number })[],
): Promise<Map<string, Found>> {
  const rows = await sql<
    (EntryRow & { company_id: CompanyId; at: number; size: number | null; note: string | null })[]
  >`
    select w.company_id, w.position as at, r.header, r.data_commitment, r.private_commitment, r.previous_leaf, c.size, c.note
    from unnest(
      ${wanted.map(({ companyId }) => companyId)}::text[], ${wanted.map(({ position }) => position)}::bigint[],
      ${wanted.map(({ size }) => size)}::bigint[]
    ) as w (company_id, position, size)
    left join ledger_records r on r.company_id = w.company_id and r.position = w.position
    left join lateral (
      select size, note from ledger_checkpoints where company_id = w.company_id and size >= w.size order by size limit 1
    ) c on true`
  return new Map(
    rows.map(({ company_id: companyId, at, size, note, ...entry }) => [
      `${companyId}:${at}`,
      {
        entry: entry.header === null ? null : entry,
        checkpoint: size === null || note === null ? null : { companyId, size, note },
      },
    ]),
  )
}

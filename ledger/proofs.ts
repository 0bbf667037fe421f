import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'
import { readCheckpoints } from './checkpoints/read.ts'
import type { CheckpointSigner, StoredCheckpoint } from './checkpoints/signer.ts'
import { tileReader } from './checkpoints/tiles.ts'
import { entryText, originOf, textHash, zeroHash } from './entry.ts'
import { formatTlogProof } from './proof/tlog-proof.ts'
import { consistencyProofFromTiles, inclusionProofFromTiles } from './tile-math.ts'

/** Proofs of one deployment's ledgers, from stored tiles: a few statements at any size. */
export interface Proofs {
  /**
   * RFC 6962 audit path of a record in the tree of the first `size` records, hashes from the leaf upwards.
   * @throws AppError BAD_USER_INPUT | NOT_FOUND
   */
  inclusionProof(companyId: CompanyId, position: number, size: number, scope?: StoreScope): Promise<Uint8Array[]>
  /** RFC 6962 consistency proof between two sizes of a ledger. @throws AppError BAD_USER_INPUT | NOT_FOUND */
  consistencyProof(companyId: CompanyId, from: number, to: number, scope?: StoreScope): Promise<Uint8Array[]>
  /**
   * C2SP `tlog-proof@v1` of one record with the smallest stored checkpoint that includes it, signing one when there is none
   * yet. Null where there is no such record. @throws AppError LEDGER_CORRUPT
   */
  recordProof(companyId: CompanyId, position: number, scope?: StoreScope): Promise<string | null>
}

export function createProofs(deps: { store: Store; signer: CheckpointSigner }): Proofs {
  const { store, signer } = deps

  /** Tiles above the lowest level are stored with checkpoints: there has to be one at least so large. */
  async function checkpointed(companyId: CompanyId, size: number, scope?: StoreScope): Promise<StoredCheckpoint> {
    const find = (sql: ShardSql) => readCheckpoints(sql, [{ companyId, atLeast: size }])
    const [stored] = await store.readOne(companyId, find, scope)
    if (stored !== undefined) return stored
    const signed = await signer.sign(companyId)
    if (signed === null || signed.size < size) {
      throw new AppError('NOT_FOUND', `The ledger has ${signed?.size ?? 0} records, not ${size}.`)
    }
    return signed
  }

  return {
    async inclusionProof(companyId, position, size, scope) {
      requireSize(size, 1)
      requireSize(position, 0)
      if (position >= size) throw new AppError('BAD_USER_INPUT', 'The position lies outside of the size.')
      await checkpointed(companyId, size, scope)
      return onPrimary(companyId, (sql) => inclusionProofFromTiles(position, size, tileReader(sql, companyId)), scope)
    },

    async consistencyProof(companyId, from, to, scope) {
      requireSize(from, 1)
      requireSize(to, 1)
      if (from > to) throw new AppError('BAD_USER_INPUT', 'A consistency proof goes from a smaller to a larger size.')
      await checkpointed(companyId, to, scope)
      return onPrimary(companyId, (sql) => consistencyProofFromTiles(from, to, tileReader(sql, companyId)), scope)
    },

    async recordProof(companyId, position, scope) {
      requireSize(position, 0)
      const row = await store.readOne(companyId, (sql) => readEntryRow(sql, companyId, position), scope)
      if (row === undefined) return null
      const checkpoint = await checkpointed(companyId, position + 1, scope)
      const proof = await onPrimary(
        companyId,
        (sql) => inclusionProofFromTiles(position, checkpoint.size, tileReader(sql, companyId)),
        scope,
      )
      const entry = Buffer.from(entryOfRow(originOf(store.deployment, companyId), position, row), 'utf8')
      return formatTlogProof({ index: position, entry, proof, checkpoint: checkpoint.note })
    },
  }

  /** Where the signer has just stored tiles: a replica may not have them yet. */
  function onPrimary<T>(companyId: CompanyId, fn: (sql: ShardSql) => Promise<T>, scope?: StoreScope): Promise<T> {
    return store.onPrimary(store.shardOf(companyId), fn, scope)
  }
}

function requireSize(value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new AppError('BAD_USER_INPUT', `Sizes and positions are whole numbers, here from ${least}.`)
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

async function readEntryRow(sql: ShardSql, companyId: CompanyId, position: number): Promise<EntryRow | undefined> {
  const [row] = await sql<EntryRow[]>`
    select header, data_commitment, private_commitment, previous_leaf from ledger_records
    where company_id = ${companyId} and position = ${position}`
  return row
}

import { AppError, isAppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import type { ShardSql, ShardTx, Store } from '../../store/store.ts'
import { originOf, zeroHash } from '../entry.ts'
import { signCheckpoint } from '../proof/checkpoint.ts'
import type { Keyring } from '../proof/keyring.ts'
import { rootFromTiles } from '../tile-math.ts'
import type { SignedTree, SignerState } from './signer-state.ts'
import { thinCheckpoints } from './thin.ts'
import { storeTiles, tileReader } from './tiles.ts'

export interface StoredCheckpoint {
  readonly companyId: CompanyId
  readonly size: number
  /** The signed note. */
  readonly note: string
}

export interface CheckpointSigner {
  /**
   * The checkpoint of the ledger as it is now, signed unless it was already; null while the ledger is empty.
   * @throws AppError LEDGER_CORRUPT when the tree is smaller than, or another than, what was signed before, when the head is
   * not the last record's leaf, or a record since then is not chained to the one before: nothing is signed then, and the
   * alarm is raised
   */
  sign(companyId: CompanyId): Promise<StoredCheckpoint | null>
  /** Ledgers whose last signing was refused. */
  refused(): readonly CompanyId[]
}

const attempts = 10
/** One signing in so many thins the ledger's older checkpoints; the root tells which, so that nothing has to be counted. */
const thinEvery = 64

export function createCheckpointSigner(deps: {
  store: Store
  keyring: Keyring
  /** All of them have to agree; the first decides between signers. */
  states: readonly SignerState[]
  logger: Logger
  /** A refusal: somebody has to look at this. MUST NOT throw. */
  onAlarm?: (companyId: CompanyId, error: AppError) => void
}): CheckpointSigner {
  const { store, keyring, states, logger, onAlarm = () => {} } = deps
  const alarmed = new Map<CompanyId, AppError>()

  /** Where the company is, which stays until the transaction ends: nothing is written that a move would leave behind. */
  async function claimed(companyId: CompanyId, write: (tx: ShardTx) => Promise<unknown>): Promise<void> {
    await store.transact(companyId, async (tx) => {
      await store.claim(tx, companyId)
      await write(tx)
    })
  }

  async function signOnce(sql: ShardSql, companyId: CompanyId): Promise<StoredCheckpoint | null | 'again'> {
    const [ledger] = await sql<
      { size: number; here: boolean; linked: boolean; signed: number | null; note: string | null }[]
    >`
      select h.size, h.here, h.size = 0 or not h.here or coalesce(r.leaf = h.leaf, false) as linked, c.size as signed, c.note
      from ledger_heads h
      left join ledger_records r on r.company_id = h.company_id and r.position = h.size - 1
      left join lateral (
        select size, note from ledger_checkpoints where company_id = h.company_id order by size desc limit 1
      ) c on true
      where h.company_id = ${companyId}`
    if (ledger === undefined) return null
    const { size } = ledger
    if (!ledger.linked) throw refusal(companyId, 'has a head that is not the leaf of its last record')
    const origin = originOf(store.deployment, companyId)
    // After a change of keys the same tree is signed once more, so that exports can name the new key.
    if (ledger.note !== null && ledger.signed === size && keyring.isCurrent(origin, ledger.note)) {
      return { companyId, size, note: ledger.note }
    }

    const last = await Promise.all(states.map((state) => state.last(origin)))
    if (size === 0 && last.every((tree) => tree === null)) return null
    const signedSize = Math.max(0, ...last.map((tree) => tree?.size ?? 0))
    const unlinked = await firstUnlinked(sql, companyId, signedSize, size)
    if (unlinked !== undefined)
      throw refusal(companyId, `has a record that does not follow the one before: ${unlinked}`)
    await storeTiles(sql, companyId, size, (write) => claimed(companyId, write))
    const read = tileReader(sql, companyId)
    const root = Buffer.from(await rootFromTiles(size, read))
    for (const tree of last) {
      if (tree === null) continue
      if (tree.size > size) {
        // Emptied behind a move that this process has not heard of: nothing to raise an alarm about.
        if (!ledger.here) throw new AppError('STALE_EPOCH', 'The ledger is not on its shard now.')
        throw refusal(companyId, `has ${size} records, and ${tree.size} were signed`)
      }
      const then = tree.size === size ? root : await rootFromTiles(tree.size, read)
      if (!tree.root.equals(then))
        throw refusal(companyId, `is not the one whose first ${tree.size} records were signed`)
    }

    // The state first: what goes out is never ahead of what a restarted signer knows.
    const next: SignedTree = { size, root }
    for (const [index, state] of states.entries()) {
      if (!(await state.advance(origin, last[index] ?? null, next))) return 'again'
    }
    const note = signCheckpoint({ origin, size, root }, keyring.signers(origin))
    await claimed(companyId, async (tx) => {
      await tx`
        insert into ledger_checkpoints (company_id, size, note) values (${companyId}, ${size}, ${note})
        on conflict (company_id, size) do update set note = excluded.note`
      if ((root[0] ?? 0) % thinEvery === 0) await thinCheckpoints(tx, companyId, size)
    })
    return { companyId, size, note }
  }

  return {
    async sign(companyId) {
      try {
        for (let attempt = 1; attempt <= attempts; attempt++) {
          const signed = await store.onPrimary(store.shardOf(companyId), (sql) => signOnce(sql, companyId))
          if (signed === 'again') continue
          alarmed.delete(companyId)
          return signed
        }
        throw new AppError('OVERLOADED', 'Other signers were faster each time; try again.')
      } catch (error) {
        if (isAppError(error, 'LEDGER_CORRUPT')) {
          alarmed.set(companyId, error)
          logger.error({ companyId, alarm: 'checkpoint-refused', error }, error.message)
          onAlarm(companyId, error)
        }
        throw error
      }
    },
    refused: () => [...alarmed.keys()],
  }
}

/**
 * The first record since the last signed tree that does not name the leaf before it, or whose predecessor is missing: whoever
 * changes a head has the next append chained onto what they wrote. A company that moves is left to where it goes. Index: the primary key, over the new records alone.
 */
async function firstUnlinked(
  sql: ShardSql,
  companyId: CompanyId,
  from: number,
  size: number,
): Promise<number | undefined> {
  const [row] = await sql<{ position: number }[]>`
    select position from (
      select position, previous_leaf, lag(leaf) over (order by position) as leaf_before from ledger_records
      where company_id = ${companyId} and position >= ${from - 1} and position < ${size}
    ) r
    where position >= ${from}
      and exists (select from ledger_heads where company_id = ${companyId} and here)
      and previous_leaf is distinct from
      case when position = 0 then ${zeroHash}::bytea else leaf_before end
    order by position limit 1`
  return row?.position
}

function refusal(companyId: CompanyId, what: string): AppError {
  return new AppError('LEDGER_CORRUPT', `No checkpoint is signed: the ledger ${what}.`, { details: { companyId } })
}

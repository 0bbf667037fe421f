import type { CompanyId } from '../core/ids.ts'
import type { ShardSql } from '../store/store.ts'
import type { SignedTree } from './checkpoints/signer-state.ts'
import { tileWidth } from './checkpoints/tiles.ts'
import { originOf } from './entry.ts'
import { createCompactRange } from './merkle.ts'
import { openCheckpoint, readCheckpoint } from './proof/checkpoint.ts'
import { parseVkey } from './proof/keys.ts'
import { tileRoot } from './tile-math.ts'
import type { LedgerBreak, VerifyStoredDeps } from './verify-stored.ts'

/** Compares stored tiles, checkpoints and what was signed last with the tree that grows from the records' leaves. */
export interface TreeCheck {
  append(leaf: Buffer): void
  /** What was completed since the last call, against what is stored. */
  page(): Promise<LedgerBreak | null>
  /** After the last record. */
  end(): Promise<LedgerBreak | null>
}

export async function createTreeCheck(
  deps: VerifyStoredDeps,
  companyId: CompanyId,
  signed: readonly SignedTree[],
): Promise<TreeCheck> {
  const { store, keyring = null } = deps
  const origin = originOf(store.deployment, companyId)
  const verifiers = keyring?.vkeys(origin).flatMap(({ vkey }) => parseVkey(vkey) ?? []) ?? []
  const query = <T>(fn: (sql: ShardSql) => Promise<T>): Promise<T> => store.onPrimary(store.shardOf(companyId), fn)

  const range = createCompactRange()
  /** Of the checkpointed sizes passed since the last page. */
  const roots = new Map<number, Buffer>()
  /** By level: hashes of the tile that is filling up, and how many tiles were complete. */
  const filling: { hashes: Buffer[]; count: number }[] = []
  let complete: { level: number; index: number; hashes: Buffer; root: Buffer }[] = []
  const sizes = await query(
    (sql) => sql<{ size: number }[]>`
      select size from ledger_checkpoints where company_id = ${companyId} order by size`,
  )
  /** The first size at which another tree was signed. */
  let forkedAt: number | null = null
  let nextSize = sizes.findIndex(({ size }) => size > 0)

  function addHash(level: number, hash: Buffer): void {
    const tile = (filling[level] ??= { hashes: [], count: 0 })
    tile.hashes.push(hash)
    if (tile.hashes.length < tileWidth) return
    const hashes = Buffer.concat(tile.hashes)
    const root = Buffer.from(tileRoot(hashes))
    complete.push({ level, index: tile.count, hashes, root })
    tile.count += 1
    tile.hashes = []
    addHash(level + 1, root)
  }

  async function tileFault(): Promise<string | null> {
    const built = complete
    complete = []
    if (built.length === 0) return null
    const wrong = await query(
      (sql) => sql<{ level: number; index: number }[]>`
        select t.level, t.index
        from unnest(${built.map(({ level }) => level)}::integer[], ${built.map(({ index }) => index)}::bigint[],
          ${built.map(({ hashes }) => hashes.toString('hex'))}::text[],
          ${built.map(({ root }) => root.toString('hex'))}::text[]) as b (level, index, hashes, root)
        join ledger_tiles t on t.company_id = ${companyId} and t.level = b.level and t.index = b.index
        where t.hashes <> decode(b.hashes, 'hex') or t.root <> decode(b.root, 'hex')
        order by t.level, t.index limit 1`,
    )
    return wrong[0] === undefined ? null : `tile ${wrong[0].level}/${wrong[0].index} is not made of the records' leaves`
  }

  async function checkpointFault(): Promise<string | null> {
    const wanted = [...roots.keys()]
    if (wanted.length === 0) return null
    const notes = await query(
      (sql) => sql<{ size: number; note: string }[]>`
        select size, note from ledger_checkpoints
        where company_id = ${companyId} and size = any(${wanted}::bigint[]) order by size`,
    )
    for (const { size, note } of notes) {
      const what = noteFault(note, size, roots.get(size))
      if (what !== null) return `the checkpoint at ${size} ${what}`
    }
    roots.clear()
    return null
  }

  function forkFault(): string | null {
    return forkedAt === null ? null : `another tree of ${forkedAt} records was signed`
  }

  function noteFault(note: string, size: number, root: Buffer | undefined): string | null {
    if (keyring !== null) {
      const opened = openCheckpoint(note, verifiers)
      if (opened.kind === 'untrusted') return 'is signed by no known key'
      if (opened.kind === 'invalid') return `is invalid: ${opened.why}`
    }
    const checkpoint = readCheckpoint(note)
    if (checkpoint === undefined) return 'is not a checkpoint'
    if (checkpoint.origin !== origin || checkpoint.size !== size) return 'names another ledger or size'
    return root?.equals(checkpoint.root) === true ? null : "has another root than the records' tree"
  }

  return {
    append(leaf) {
      range.append(leaf)
      addHash(0, leaf)
      if (signed.some(({ size, root }) => size === range.size && !root.equals(range.root()))) forkedAt ??= range.size
      if (range.size !== sizes[nextSize]?.size) return
      roots.set(range.size, Buffer.from(range.root()))
      nextSize += 1
    },
    async page() {
      const what = (await tileFault()) ?? (await checkpointFault()) ?? forkFault()
      return what === null ? null : { position: null, what }
    },
    async end() {
      const what = (await tileFault()) ?? (await checkpointFault()) ?? forkFault()
      if (what !== null) return { position: null, what }
      const [beyond] = await query(
        (sql) => sql<{ size: number }[]>`
          select c.size from ledger_checkpoints c
          where c.company_id = ${companyId}
            and c.size > (select h.size from ledger_heads h where h.company_id = c.company_id)
          order by c.size desc limit 1`,
      )
      if (beyond === undefined) return null
      return { position: range.size, what: `a checkpoint says ${beyond.size} records, and there are fewer` }
    },
  }
}

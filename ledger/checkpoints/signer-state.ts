import { closeSync, fdatasyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { ShardSql } from '../../store/store.ts'
import { decodeBase64 } from '../proof/base64.ts'

/** The tree that was signed last for an origin. */
export interface SignedTree {
  readonly size: number
  readonly root: Buffer
}

/** What was last signed, kept outside the shard. MUST be durable when `advance` resolves: the note goes out after that. */
export interface SignerState {
  last(origin: string): Promise<SignedTree | null>
  /** False, and nothing changed, where the last one is not `from` any more: another signer was faster. */
  advance(origin: string, from: SignedTree | null, to: SignedTree): Promise<boolean>
}

/** In the catalog: the state that all processes share. */
export function catalogSignerState(catalog: ShardSql): SignerState {
  return {
    async last(origin) {
      const [row] = await catalog<SignedTree[]>`select size, root from signed_checkpoints where origin = ${origin}`
      return row ?? null
    },
    async advance(origin, from, to) {
      const rows =
        from === null
          ? await catalog`
              insert into signed_checkpoints (origin, size, root) values (${origin}, ${to.size}, ${to.root})
              on conflict do nothing returning size`
          : await catalog`
              update signed_checkpoints set size = ${to.size}, root = ${to.root}
              where origin = ${origin} and size = ${from.size} and root = ${from.root} returning size`
      return rows.length === 1
    },
  }
}

/**
 * A second witness in the data directory, for the case that catalog and shard are restored from the same old backup: an
 * append-only file of `<origin> <size> <base64 root>` lines. It is read at start; other processes' later lines only make
 * it stricter, so missing them is harmless.
 */
export function fileSignerState(path: string): SignerState & Disposable {
  mkdirSync(dirname(path), { recursive: true })
  const trees = new Map<string, SignedTree>()
  const file = openSync(path, 'a+', 0o600)
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [, origin = '', size = '', root = ''] = /^(\S+) ([0-9]+) (\S+)$/.exec(line) ?? []
    const bytes = decodeBase64(root)
    // A torn last line is what a crash leaves; its note never went out.
    if (bytes?.length !== 32) continue
    const known = trees.get(origin)
    if (known === undefined || Number(size) >= known.size) trees.set(origin, { size: Number(size), root: bytes })
  }
  // Ends a torn line.
  writeSync(file, '\n')
  return {
    async last(origin) {
      return trees.get(origin) ?? null
    },
    async advance(origin, _from, to) {
      writeSync(file, `${origin} ${to.size} ${to.root.toString('base64')}\n`)
      fdatasyncSync(file)
      trees.set(origin, to)
      return true
    },
    [Symbol.dispose]() {
      closeSync(file)
    },
  }
}

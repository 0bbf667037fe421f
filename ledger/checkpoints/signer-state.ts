import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { ShardSql } from '../../store/store.ts'
import { decodeBase64 } from '../proof/base64.ts'

/** The tree that was signed last for an origin. */
export interface SignedTree {
  readonly size: number
  readonly root: Buffer
}

const staleDraftMs = 600_000

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
 * A second witness in the data directory, for the case that catalog and shard are restored from the same old backup: a file
 * of `<origin> <size> <base64 root>` lines that is appended to, and written anew with an origin's last line alone when it
 * has grown to several times that. It is read at start; other processes' later lines only make it stricter, so missing them
 * is harmless.
 */
export function fileSignerState(
  path: string,
  { compactFromBytes = 4 * 1024 * 1024 }: { compactFromBytes?: number } = {},
): SignerState & Disposable {
  mkdirSync(dirname(path), { recursive: true })
  let file = openSync(path, 'a+', 0o600)
  const trees = readTrees(readFileSync(path, 'utf8'))
  // Ends a torn line.
  writeSync(file, '\n')

  function append(line: string): void {
    for (;;) {
      writeSync(file, line)
      fdatasyncSync(file)
      if (isSameFile(path, file)) return
      // Another process has put a shorter file in its place: the line has to be in that one.
      closeSync(file)
      file = openSync(path, 'a+', 0o600)
    }
  }

  function compact(): void {
    const draft = `${path}.draft`
    const target = openDraft(draft)
    if (target === undefined) return
    try {
      const known = readFileSync(path)
      writeSync(target, [...readTrees(known.toString('utf8'))].map(([origin, tree]) => lineOf(origin, tree)).join(''))
      fdatasyncSync(target)
      renameSync(draft, path)
      // What others appended in between; whoever appends from now on sees that the file is another one.
      const rest = Buffer.alloc(fstatSync(file).size - known.length)
      readSync(file, rest, 0, rest.length, known.length)
      writeSync(target, rest)
      fdatasyncSync(target)
    } finally {
      closeSync(target)
    }
    closeSync(file)
    file = openSync(path, 'a+', 0o600)
  }

  /** Several times what one line an origin takes, so that writing anew is rare whatever the number of ledgers. */
  const limit = (): number => Math.max(compactFromBytes, 4 * 150 * trees.size)

  return {
    async last(origin) {
      return trees.get(origin) ?? null
    },
    async advance(origin, _from, to) {
      append(lineOf(origin, to))
      trees.set(origin, to)
      if (fstatSync(file).size > limit()) compact()
      return true
    },
    [Symbol.dispose]() {
      closeSync(file)
    },
  }
}

const lineOf = (origin: string, { size, root }: SignedTree): string => `${origin} ${size} ${root.toString('base64')}\n`

function readTrees(text: string): Map<string, SignedTree> {
  const trees = new Map<string, SignedTree>()
  for (const line of text.split('\n')) {
    const [, origin = '', size = '', root = ''] = /^(\S+) ([0-9]+) (\S+)$/.exec(line) ?? []
    const bytes = decodeBase64(root)
    // A torn last line is what a crash leaves; its note never went out.
    if (bytes?.length !== 32) continue
    const known = trees.get(origin)
    if (known === undefined || Number(size) >= known.size) trees.set(origin, { size: Number(size), root: bytes })
  }
  return trees
}

function isSameFile(path: string, file: number): boolean {
  return existsSync(path) && statSync(path).ino === fstatSync(file).ino
}

/** One process writes anew at a time; what a killed one left behind is cleared away, for the next time. */
function openDraft(draft: string): number | undefined {
  try {
    // Appending: from the renaming on, others append too.
    return openSync(draft, 'ax', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (existsSync(draft) && Date.now() - statSync(draft).mtimeMs > staleDraftMs) rmSync(draft, { force: true })
    return undefined
  }
}

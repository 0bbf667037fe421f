import { foldRight, hashNode, inclusionRanges, consistencyRanges, type LeafRange } from './merkle.ts'

/**
 * Tiles of C2SP `tlog-tiles`: 256 consecutive hashes of tree level 8 * `level`. Only complete level-0 tiles need to be
 * stored: a hash of a higher tile is the root of a complete tile below it. Which hashes a proof needs, and from which
 * tiles they are made, is decided here; a reader fetches all of them at once.
 */
export interface TileRef {
  readonly level: number
  readonly index: number
  /** How many hashes the tile has in a tree of the size asked for, 1 to 256. */
  readonly width: number
}

/** Answers each tile's first `width` hashes or more, 32 bytes each, in the order asked. Called once a proof. */
export type TileReader = (tiles: readonly TileRef[]) => Promise<readonly Uint8Array[]>

const tileWidth = 256
const hashBytes = 32

/** @throws RangeError for sizes that no tree has, or when the reader answers with too little */
export async function rootFromTiles(size: number, read: TileReader): Promise<Uint8Array> {
  const [root = foldRight([])] = size === 0 ? [] : await hashRanges([[0, size]], size, read)
  return root
}

export async function inclusionProofFromTiles(index: number, size: number, read: TileReader): Promise<Uint8Array[]> {
  return hashRanges(inclusionRanges(index, size), size, read)
}

export async function consistencyProofFromTiles(size1: number, size2: number, read: TileReader): Promise<Uint8Array[]> {
  return hashRanges(consistencyRanges(size1, size2), size2, read)
}

/** How many hashes a tile has in a tree of this size; 0 where it does not exist. */
export function widthOf(level: number, index: number, size: number): number {
  const hashes = Math.floor(size / tileWidth ** level) - index * tileWidth
  return Math.max(0, Math.min(tileWidth, hashes))
}

/** `tile/1/x001/234.p/17`: the tile's path below a ledger's URL. */
export function tilePath({ level, index, width }: TileRef): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/g) ?? []
  const last = groups.pop() ?? '000'
  const path = [...groups.map((group) => `x${group}`), last].join('/')
  return `tile/${level}/${path}${width < tileWidth ? `.p/${width}` : ''}`
}

/** The tile that a path names; undefined for every other spelling. */
export function parseTilePath(path: string): TileRef | undefined {
  const [, level = '', index = '', width] =
    /^tile\/(0|[1-9][0-9]?)\/((?:x[0-9]{3}\/){0,5}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/.exec(path) ?? []
  if (level === '') return undefined
  const tile = {
    level: Number(level),
    index: Number(index.replaceAll(/[x/]/g, '')),
    width: width === undefined ? tileWidth : Number(width),
  }
  if (tile.level > 63 || !Number.isSafeInteger(tile.index) || tilePath(tile) !== path) return undefined
  return tile
}

/** The tree hash of one complete tile: what the level above holds for it. */
export function tileRoot(hashes: Uint8Array): Uint8Array {
  return completeHash(hashes, 0, tileWidth)
}

/** A complete subtree: the node `index` of tree level `height` (leaves are level 0). */
type Subtree = { height: number; index: number }

async function hashRanges(ranges: readonly LeafRange[], size: number, read: TileReader): Promise<Uint8Array[]> {
  const parts = ranges.map((range) => completeSubtrees(range))
  const wanted = new Map<string, TileRef>()
  for (const subtree of parts.flat()) {
    const tile = tileOf(subtree, size)
    wanted.set(`${tile.level}/${tile.index}`, tile)
  }
  const tiles = [...wanted.values()]
  const answers = tiles.length === 0 ? [] : await read(tiles)
  const hashesByTile = new Map([...wanted.keys()].map((key, i) => [key, checkTile(tiles[i], answers[i])]))
  return parts.map((subtrees) =>
    foldRight(
      subtrees.map((subtree) => {
        const tile = tileOf(subtree, size)
        const span = 2 ** (subtree.height % 8)
        const hashes = hashesByTile.get(`${tile.level}/${tile.index}`) ?? new Uint8Array()
        return completeHash(hashes, (subtree.index * span) % tileWidth, span)
      }),
    ),
  )
}

function tileOf({ height, index }: Subtree, size: number): TileRef {
  const level = Math.floor(height / 8)
  const tile = Math.floor(index / 2 ** (8 - (height % 8)))
  return { level, index: tile, width: widthOf(level, tile, size) }
}

/** A range as complete subtrees, largest first. A proof's ranges start where a subtree as large as they are may start. */
function completeSubtrees([start, end]: LeafRange): Subtree[] {
  const subtrees: Subtree[] = []
  for (let at = start; at < end;) {
    let height = 0
    while (at % 2 ** (height + 1) === 0 && at + 2 ** (height + 1) <= end) height++
    subtrees.push({ height, index: at / 2 ** height })
    at += 2 ** height
  }
  return subtrees
}

/** Halves `count` (a power of two) hashes until one is left. */
function completeHash(hashes: Uint8Array, first: number, count: number): Uint8Array {
  if (count === 1) return hashes.slice(first * hashBytes, (first + 1) * hashBytes)
  const half = count / 2
  return hashNode(completeHash(hashes, first, half), completeHash(hashes, first + half, half))
}

function checkTile(tile: TileRef | undefined, hashes: Uint8Array | undefined): Uint8Array {
  if (tile === undefined || hashes === undefined || hashes.length < tile.width * hashBytes) {
    throw new RangeError(`the hashes of ${tile === undefined ? 'a tile' : tilePath(tile)} are missing`)
  }
  return hashes
}

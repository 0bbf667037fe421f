import { types } from 'node:util'
import { sha256 } from '../core/sha256.ts'

/**
 * The Merkle tree of RFC 6962 section 2 (SHA-256), pure. Leaves are leaf hashes already (`SHA-256(0x00 || entry)`);
 * sizes and indexes are safe integers; a proof lists hashes from the leaf upwards.
 */

const hashBytes = 32

/** The root of a tree without leaves: SHA-256 of nothing. */
export const emptyRoot: Uint8Array = sha256('')

/** SHA-256(0x00 || entry) */
export function hashLeaf(entry: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(entry.length + 1)
  input[0] = 0
  input.set(entry, 1)
  return sha256(input)
}

/** Reused by every call: hashing is synchronous, and a buffer for each of a tree's nodes is what it would mostly cost. */
const nodeInput = Buffer.of(1, ...Buffer.alloc(2 * hashBytes))

/** SHA-256(0x01 || left || right) */
export function hashNode(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length === hashBytes && right.length === hashBytes) {
    nodeInput.set(left, 1)
    nodeInput.set(right, 1 + hashBytes)
    return sha256(nodeInput)
  }
  const input = Buffer.allocUnsafe(1 + left.length + right.length)
  input[0] = 1
  input.set(left, 1)
  input.set(right, 1 + left.length)
  return sha256(input)
}

/** The root over the leaves `[start, end)` of a list. */
export function treeHash(leaves: readonly Uint8Array[], start = 0, end = leaves.length): Uint8Array {
  const range = createCompactRange()
  for (let i = start; i < end; i++) range.append(leaves[i] ?? missing(i))
  return range.root()
}

/**
 * The roots of the complete subtrees that a tree of this size consists of, largest first: all that has to be kept to
 * append and to tell the root at any moment (at most 53 hashes).
 */
export interface CompactRange {
  readonly size: number
  append(leaf: Uint8Array): void
  root(): Uint8Array
  /** A copy, largest subtree first; `createCompactRange` takes it back. */
  hashes(): Uint8Array[]
}

export function createCompactRange(size = 0, hashes: readonly Uint8Array[] = []): CompactRange {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError('a tree size is a safe integer from 0')
  const stack = [...hashes]
  if (stack.length !== countOnes(size)) throw new RangeError(`a compact range of size ${size} has other hashes`)
  let count = size
  return {
    get size() {
      return count
    },
    append(leaf) {
      let node = leaf
      // One completed subtree for every trailing one bit.
      for (let rest = count; rest % 2 === 1; rest = (rest - 1) / 2) node = hashNode(stack.pop() ?? missing(count), node)
      stack.push(node)
      count++
    },
    root: () => foldRight(stack),
    hashes: () => [...stack],
  }
}

/** Hashes subtrees that follow each other, largest first, into one: the rightmost two first. */
export function foldRight(subtrees: readonly Uint8Array[]): Uint8Array {
  let node = subtrees.at(-1)
  if (node === undefined) return emptyRoot
  for (let i = subtrees.length - 2; i >= 0; i--) node = hashNode(subtrees[i] ?? missing(i), node)
  return node
}

/** A run of leaves `[start, end)` whose tree hash is part of a proof. */
export type LeafRange = readonly [start: number, end: number]

/** RFC 6962 section 2.1.1, PATH(index, D[size]), as the ranges whose tree hashes it lists. @throws RangeError */
export function inclusionRanges(index: number, size: number): LeafRange[] {
  if (!isSize(size) || !isSize(index) || index >= size) throw new RangeError(`no leaf ${index} in a tree of ${size}`)
  const path: LeafRange[] = []
  let start = 0
  let end = size
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    if (index < middle) {
      path.push([middle, end])
      end = middle
    } else {
      path.push([start, middle])
      start = middle
    }
  }
  return path.reverse()
}

/** RFC 6962 section 2.1.2, PROOF(size1, D[size2]), as the ranges whose tree hashes it lists. @throws RangeError */
export function consistencyRanges(size1: number, size2: number): LeafRange[] {
  if (!isSize(size1) || !isSize(size2) || size1 < 1 || size1 > size2) {
    throw new RangeError(`no consistency proof from size ${size1} to ${size2}`)
  }
  const path: LeafRange[] = []
  let start = 0
  let end = size2
  while (end !== size1) {
    const middle = start + splitOf(end - start)
    if (size1 <= middle) {
      path.push([middle, end])
      end = middle
    } else {
      path.push([start, middle])
      start = middle
    }
  }
  // The old tree as a whole needs no mention: who verifies knows its root.
  if (start > 0) path.push([start, end])
  return path.reverse()
}

/** From leaves in memory. @throws RangeError */
export function inclusionProof(leaves: readonly Uint8Array[], index: number, size = leaves.length): Uint8Array[] {
  return inclusionRanges(index, size).map(([start, end]) => treeHash(leaves, start, end))
}

/** From leaves in memory. @throws RangeError */
export function consistencyProof(leaves: readonly Uint8Array[], size1: number, size2 = leaves.length): Uint8Array[] {
  return consistencyRanges(size1, size2).map(([start, end]) => treeHash(leaves, start, end))
}

export interface InclusionClaim {
  readonly index: number
  readonly size: number
  readonly leaf: Uint8Array
  readonly proof: readonly Uint8Array[]
  readonly root: Uint8Array
}

/** RFC 9162 section 2.1.3.2. False for everything that is not exactly a proof; never throws. */
export function verifyInclusion(claim: InclusionClaim): boolean {
  return holds(includes, claim)
}

function includes({ index, size, leaf, proof: given, root }: InclusionClaim): boolean {
  const proof = proofOf(given)
  if (!isSize(index) || !isSize(size) || index >= size) return false
  if (!isHash(leaf) || !isHash(root) || proof === undefined) return false
  let at = index
  let last = size - 1
  let node = leaf
  for (const sibling of proof) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      node = hashNode(sibling, node)
      // The right border has no siblings where the tree is not full: climb to where it has one.
      while (at % 2 === 0 && at !== 0) {
        at /= 2
        last = Math.floor(last / 2)
      }
    } else {
      node = hashNode(node, sibling)
    }
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && sameBytes(node, root)
}

export interface ConsistencyClaim {
  readonly size1: number
  readonly size2: number
  readonly root1: Uint8Array
  readonly root2: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/**
 * RFC 9162 section 2.1.4.2. False for everything that is not exactly a proof; never throws. A tree of size 0 proves
 * nothing about any other and is refused; equal sizes need equal roots and an empty proof.
 */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  return holds(continues, claim)
}

function continues({ size1, size2, root1, root2, proof: given }: ConsistencyClaim): boolean {
  const proof = proofOf(given)
  if (!isSize(size1) || !isSize(size2) || size1 < 1 || size1 > size2) return false
  if (!isHash(root1) || !isHash(root2) || proof === undefined) return false
  if (size1 === size2) return proof.length === 0 && sameBytes(root1, root2)
  if (proof.length === 0) return false
  let at = size1 - 1
  let last = size2 - 1
  while (at % 2 === 1) {
    at = (at - 1) / 2
    last = Math.floor(last / 2)
  }
  // A complete old tree is its own first hash; `at` has then climbed to its root.
  const path = at === 0 ? [root1, ...proof] : proof
  let old = path[0] ?? root1
  let now = old
  for (const sibling of path.slice(1)) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      old = hashNode(sibling, old)
      now = hashNode(sibling, now)
      while (at % 2 === 0 && at !== 0) {
        at /= 2
        last = Math.floor(last / 2)
      }
    } else {
      now = hashNode(now, sibling)
    }
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && sameBytes(old, root1) && sameBytes(now, root2)
}

/** The largest power of two below `size`: where RFC 6962 splits a tree of more than one leaf. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

function countOnes(size: number): number {
  let ones = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) ones += rest % 2
  return ones
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** By what it is, not by what it says: a length of its own would let other bytes pass for a hash. */
const isHash = (value: unknown): value is Uint8Array =>
  types.isUint8Array(value) && byteLengthOf(value) === hashBytes && value.length === hashBytes

const byteLength = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength')?.get
const byteLengthOf = (bytes: Uint8Array): unknown => byteLength?.call(bytes)

/**
 * The hashes, read once; undefined where they are none. No tree of a safe size needs more than two a level. Spread, since
 * `every` passes over holes.
 */
function proofOf(value: unknown): Uint8Array[] | undefined {
  if (!Array.isArray(value) || value.length > 2 * 53) return undefined
  const hashes = [...(value as unknown[])]
  return hashes.every(isHash) ? hashes : undefined
}

/** Claims come from outside: reading one that is no plain object may throw whatever it likes, and then it does not hold. */
function holds<C>(check: (claim: C) => boolean, claim: C): boolean {
  try {
    return check(claim)
  } catch {
    return false
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

function missing(index: number): never {
  throw new RangeError(`hash ${index} is missing`)
}

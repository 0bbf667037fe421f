import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  consistencyProof,
  createCompactRange,
  emptyRoot,
  hashLeaf,
  hashNode,
  inclusionProof,
  treeHash,
  verifyConsistency,
  verifyInclusion,
} from '../../ledger/merkle.ts'
import {
  consistencyProofFromTiles,
  inclusionProofFromTiles,
  parseTilePath,
  rootFromTiles,
  tilePath,
  tileRoot,
  widthOf,
  type TileReader,
} from '../../ledger/tile-math.ts'
import vectors from '../vectors/merkle-rfc6962.json' with { type: 'json' }

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const unhex = (text: string): Buffer => Buffer.from(text, 'hex')
const leavesOf = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, i) => hashLeaf(Buffer.from(`leaf ${i}`)))

/** RFC 6962 section 2.1 to the letter: the independent yardstick of the compact range. */
function mth(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return emptyRoot
  if (leaves.length === 1) return leaves[0]!
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return hashNode(mth(leaves.slice(0, k)), mth(leaves.slice(k)))
}

describe('the published vectors of RFC 6962', () => {
  test('empty root, leaves and nodes', () => {
    for (const { op, inputs, want } of vectors.hasher) {
      const [first = '', second = ''] = inputs ?? []
      const got =
        op === 'emptyRoot' ? emptyRoot : op === 'leaf' ? hashLeaf(unhex(first)) : hashNode(unhex(first), unhex(second))
      expect(hex(got)).toBe(want)
    }
  })

  test('roots of every size and the hashes of complete subtrees', () => {
    const leaves = vectors.leafInputs.map((input) => hashLeaf(unhex(input)))
    for (const [size, want] of vectors.rootHashesBySize.entries()) {
      expect(hex(treeHash(leaves, 0, size))).toBe(want)
    }
    for (const [level, hashes] of vectors.completeSubtreeHashesByLevel.entries()) {
      for (const [i, want] of hashes.entries()) {
        expect(hex(treeHash(leaves, i * 2 ** level, (i + 1) * 2 ** level))).toBe(want)
      }
    }
  })
})

test('a compact range gives the root that the definition gives, and goes on from its hashes', () => {
  const leaves = leavesOf(70)
  let range = createCompactRange()
  for (const [i, leaf] of leaves.entries()) {
    expect(hex(range.root())).toBe(hex(mth(leaves.slice(0, i))))
    range = createCompactRange(i, range.hashes())
    range.append(leaf)
  }
  expect(range.size).toBe(70)
  expect(() => createCompactRange(3, [leaves[0]!])).toThrow(RangeError)
})

test('every index and every pair of sizes up to 64 has a proof, and it proves nothing else', () => {
  const most = 64
  const leaves = leavesOf(most)
  const roots = Array.from({ length: most + 1 }, (_, size) => treeHash(leaves, 0, size))
  for (let size = 1; size <= most; size++) {
    const root = roots[size]!
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(leaves, index, size)
      const leaf = leaves[index]!
      expect(verifyInclusion({ index, size, leaf, proof, root })).toBe(true)
      expect(verifyInclusion({ index: index ^ 1, size, leaf, proof, root })).toBe(false)
      expect(verifyInclusion({ index, size, leaf: leaves[(index + 1) % most]!, proof, root })).toBe(false)
    }
    for (let size1 = 1; size1 <= size; size1++) {
      const proof = consistencyProof(leaves, size1, size)
      const root1 = roots[size1]!
      expect(verifyConsistency({ size1, size2: size, root1, root2: root, proof })).toBe(true)
      if (size1 === size) continue
      expect(verifyConsistency({ size1, size2: size, root1: root, root2: root1, proof })).toBe(false)
      expect(verifyConsistency({ size1: size1 + 1, size2: size, root1, root2: root, proof })).toBe(false)
    }
  }
})

test('a proof with any bit flipped, any hash dropped, doubled, swapped or added proves nothing', () => {
  const leaves = leavesOf(200)
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 200 }), fc.nat(), fc.nat(), fc.nat(255), (size, a, b, bit) => {
      const index = a % size
      const size1 = 1 + (a % (size - 1))
      const inclusion = inclusionProof(leaves, index, size)
      const consistency = consistencyProof(leaves, size1, size)
      const root = treeHash(leaves, 0, size)
      const root1 = treeHash(leaves, 0, size1)
      const holdsInclusion = (proof: Uint8Array[]): boolean =>
        verifyInclusion({ index, size, leaf: leaves[index]!, proof, root })
      const holdsConsistency = (proof: Uint8Array[]): boolean =>
        verifyConsistency({ size1, size2: size, root1, root2: root, proof })
      for (const [proof, holds] of [
        [inclusion, holdsInclusion],
        [consistency, holdsConsistency],
      ] as const) {
        expect(holds(proof)).toBe(true)
        const at = b % proof.length
        const flipped = Buffer.from(proof[at]!)
        flipped[bit >> 3]! ^= 1 << (bit & 7)
        expect(holds(proof.with(at, flipped))).toBe(false)
        expect(holds(proof.toSpliced(at, 1))).toBe(false)
        expect(holds(proof.toSpliced(at, 0, proof[at]!))).toBe(false)
        expect(holds([...proof, root])).toBe(false)
        expect(holds([root, ...proof])).toBe(false)
        expect(holds(proof.with(at, proof[at]!.subarray(1)))).toBe(false)
        expect(proof.length > 1 && holds(proof.toReversed())).toBe(false)
      }
    }),
    { numRuns: 200 },
  )
})

test('malformed claims are false and never throw', () => {
  const [leaf, other] = leavesOf(2) as [Buffer, Buffer]
  const root = hashNode(leaf, other)
  const inclusion = { index: 0, size: 2, leaf, proof: [other], root }
  expect(verifyInclusion(inclusion)).toBe(true)
  expect(verifyInclusion({ index: 0, size: 1, leaf, proof: [], root: leaf })).toBe(true)
  const consistency = { size1: 1, size2: 2, root1: leaf, root2: root, proof: [other] }
  expect(verifyConsistency(consistency)).toBe(true)
  expect(verifyConsistency({ size1: 2, size2: 2, root1: root, root2: root, proof: [] })).toBe(true)

  const notSizes: unknown[] = [-1, 0.5, 1.5, Number.NaN, Infinity, 2 ** 53, '1', 1n, null, undefined]
  for (const size of [...notSizes, 0]) {
    expect(verifyInclusion({ ...inclusion, size: size as number })).toBe(false)
    expect(verifyConsistency({ ...consistency, size1: size as number })).toBe(false)
    expect(verifyConsistency({ ...consistency, size2: size as number })).toBe(false)
  }
  for (const index of [...notSizes, 2, 3]) expect(verifyInclusion({ ...inclusion, index: index as number })).toBe(false)

  const notHashes: unknown[] = [
    undefined,
    null,
    '',
    leaf.toString('hex'),
    [...leaf],
    leaf.subarray(1),
    Buffer.alloc(33),
    new Uint16Array(32),
    Object.assign([], { length: 32 }),
    new DataView(new ArrayBuffer(32)),
  ]
  for (const hash of notHashes) {
    const bytes = hash as Uint8Array
    expect(verifyInclusion({ ...inclusion, leaf: bytes })).toBe(false)
    expect(verifyInclusion({ ...inclusion, root: bytes })).toBe(false)
    expect(verifyInclusion({ ...inclusion, proof: [bytes] })).toBe(false)
    expect(verifyConsistency({ ...consistency, root1: bytes })).toBe(false)
    expect(verifyConsistency({ ...consistency, root2: bytes })).toBe(false)
    expect(verifyConsistency({ ...consistency, proof: [bytes] })).toBe(false)
  }
  for (const claim of [undefined, null, 0, 'x', [], {}, () => inclusion]) {
    expect(verifyInclusion(claim as never)).toBe(false)
    expect(verifyConsistency(claim as never)).toBe(false)
  }
  // A hole is no hash; nor is what only looks like one.
  const holes: unknown[] = [{ length: 1 }, { length: 3 }, { 1: other }, { 0: leaf, length: 2 }].map((part) =>
    Object.assign([], part),
  )
  const lookalikes: unknown[] = [new Uint16Array(32), new Float64Array(32), new ArrayBuffer(32), { length: 32 }]
  for (const proof of [...holes, ...lookalikes, lookalikes]) {
    expect(verifyInclusion({ ...inclusion, proof: proof as Uint8Array[] })).toBe(false)
    expect(verifyConsistency({ ...consistency, proof: proof as Uint8Array[] })).toBe(false)
  }
  for (const proof of [undefined, null, 'x', {}, [], [other, other], Array.from({ length: 200 }, () => other)]) {
    expect(verifyInclusion({ ...inclusion, proof: proof as Uint8Array[] })).toBe(false)
    expect(verifyConsistency({ ...consistency, proof: proof as Uint8Array[] })).toBe(false)
  }
  expect(verifyConsistency({ size1: 0, size2: 0, root1: emptyRoot, root2: emptyRoot, proof: [] })).toBe(false)
  expect(verifyConsistency({ size1: 0, size2: 2, root1: emptyRoot, root2: root, proof: [] })).toBe(false)
  expect(verifyConsistency({ size1: 2, size2: 1, root1: root, root2: leaf, proof: [] })).toBe(false)
  expect(verifyConsistency({ size1: 2, size2: 2, root1: root, root2: leaf, proof: [] })).toBe(false)
  expect(verifyConsistency({ size1: 2, size2: 2, root1: root, root2: root, proof: [other] })).toBe(false)
})

test('claims that throw when they are read, or are not what they say, are false', () => {
  const [first, second] = leavesOf(2) as [Buffer, Buffer]
  const root = hashNode(first, second)
  const inclusion = { index: 0, size: 2, leaf: first, proof: [second], root }
  const consistency = { size1: 1, size2: 2, root1: first, root2: root, proof: [second] }
  class Lying extends Uint8Array {
    override get length(): number {
      return 32
    }
  }
  const revoked = Proxy.revocable([], {})
  revoked.revoke()
  const unreadable = Object.defineProperty([], 0, {
    get() {
      throw new Error('not to be read')
    },
  })
  const throwing = new Proxy(
    {},
    {
      get() {
        throw new Error('not to be read')
      },
    },
  )
  const wrong: unknown[] = [
    revoked.proxy,
    unreadable,
    throwing,
    Object.create(Uint8Array.prototype),
    [Object.create(Uint8Array.prototype)],
    new Lying(8),
    [new Lying(8)],
    Object.assign(Array.from({ length: 1 }), { length: 2 }),
  ]
  for (const value of wrong) {
    expect(verifyInclusion(value as never)).toBe(false)
    expect(verifyConsistency(value as never)).toBe(false)
    for (const name of Object.keys(inclusion)) {
      expect(verifyInclusion({ ...inclusion, [name]: value })).toBe(false)
    }
    for (const name of Object.keys(consistency)) {
      expect(verifyConsistency({ ...consistency, [name]: value })).toBe(false)
    }
  }
  const shared = new Uint8Array(new SharedArrayBuffer(32))
  shared.set(second)
  expect(verifyInclusion({ ...inclusion, proof: [shared] })).toBe(true)
  expect(verifyConsistency({ ...consistency, proof: [shared] })).toBe(true)
})

test('sizes beyond 32 bits are reckoned exactly', () => {
  // Leaf 2^40 of 2^40 + 1: its only sibling is the complete tree to its left.
  const [left, leaf] = leavesOf(2) as [Buffer, Buffer]
  const size = 2 ** 40 + 1
  const root = hashNode(left, leaf)
  expect(verifyInclusion({ index: 2 ** 40, size, leaf, proof: [left], root })).toBe(true)
  expect(verifyInclusion({ index: 2 ** 40 - 1, size, leaf, proof: [left], root })).toBe(false)
  expect(verifyConsistency({ size1: 2 ** 40, size2: size, root1: left, root2: root, proof: [leaf] })).toBe(true)
})

describe('proofs from tiles', () => {
  const leaves = leavesOf(70_000)
  let reads = 0
  /** As a store would: complete level-0 tiles, their roots, and the leaves after the last complete tile. */
  const roots = Array.from({ length: Math.floor(leaves.length / 256) }, (_, i) =>
    tileRoot(Buffer.concat(leaves.slice(i * 256, (i + 1) * 256))),
  )
  const upper = Array.from({ length: Math.floor(roots.length / 256) }, (_, i) =>
    tileRoot(Buffer.concat(roots.slice(i * 256, (i + 1) * 256))),
  )
  const read: TileReader = async (tiles) => {
    reads++
    return tiles.map(({ level, index, width }) =>
      Buffer.concat([leaves, roots, upper][level]!.slice(index * 256, index * 256 + width)),
    )
  }

  test('are the proofs from all leaves, in one read each', async () => {
    const sizes = [1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 65_793, 70_000]
    for (const size of sizes) {
      const root = treeHash(leaves, 0, size)
      expect(hex(await rootFromTiles(size, read))).toBe(hex(root))
      for (const index of new Set([0, size >> 1, Math.floor(size / 3), size - 1])) {
        reads = 0
        const proof = await inclusionProofFromTiles(index, size, read)
        expect(reads).toBeLessThanOrEqual(1)
        expect(verifyInclusion({ index, size, leaf: leaves[index]!, proof, root })).toBe(true)
      }
      for (const size1 of sizes.filter((other) => other <= size)) {
        const proof = await consistencyProofFromTiles(size1, size, read)
        expect(verifyConsistency({ size1, size2: size, root1: treeHash(leaves, 0, size1), root2: root, proof })).toBe(
          true,
        )
      }
    }
    expect(hex(await rootFromTiles(0, read))).toBe(hex(emptyRoot))
  })

  test('equal the proofs from leaves for any index and any pair of sizes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1500 }), fc.nat(), async (size, pick) => {
        const few = leaves.slice(0, size)
        const index = pick % size
        expect((await inclusionProofFromTiles(index, size, read)).map(hex)).toEqual(inclusionProof(few, index).map(hex))
        const proof = await consistencyProofFromTiles(index + 1, size, read)
        expect(proof.map(hex)).toEqual(consistencyProof(few, index + 1).map(hex))
      }),
      { numRuns: 40 },
    )
  })

  test('are refused for sizes and indexes that no tree has, and when hashes are missing', async () => {
    await expect(inclusionProofFromTiles(5, 5, read)).rejects.toThrow(RangeError)
    await expect(consistencyProofFromTiles(0, 5, read)).rejects.toThrow(RangeError)
    await expect(consistencyProofFromTiles(6, 5, read)).rejects.toThrow(RangeError)
    await expect(inclusionProofFromTiles(0, 5, async () => [])).rejects.toThrow(RangeError)
    await expect(inclusionProofFromTiles(0, 5, async () => [Buffer.alloc(4 * 32)])).rejects.toThrow(RangeError)
  })

  test('a tree of 70,000 has the tiles that tlog-tiles names', () => {
    expect(widthOf(0, 272, 70_000)).toBe(256)
    expect(widthOf(0, 273, 70_000)).toBe(112)
    expect(widthOf(0, 274, 70_000)).toBe(0)
    expect([widthOf(1, 0, 70_000), widthOf(1, 1, 70_000), widthOf(2, 0, 70_000)]).toEqual([256, 17, 1])
  })

  test('paths are those of tlog-tiles, and no other spelling is read', () => {
    expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067')
    expect(tilePath({ level: 2, index: 5, width: 17 })).toBe('tile/2/005.p/17')
    expect(parseTilePath('tile/0/x001/x234/067')).toEqual({ level: 0, index: 1_234_067, width: 256 })
    expect(parseTilePath('tile/2/005.p/17')).toEqual({ level: 2, index: 5, width: 17 })
    for (const path of [
      'tile/0/5',
      'tile/00/005',
      'tile/64/005',
      'tile/0/x000/005',
      'tile/0/001/005',
      'tile/0/005.p/0',
      'tile/0/005.p/256',
      'tile/0/005.p/01',
      'tile/0/x005',
      'tile/-1/005',
      '/tile/0/005',
      'tile/0/005/',
    ]) {
      expect(parseTilePath(path)).toBeUndefined()
    }
  })
})

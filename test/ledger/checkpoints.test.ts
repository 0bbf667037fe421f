import { mkdtempSync, rmSync, writeFileSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createCheckpointFollower } from '../../ledger/checkpoints/follow.ts'
import { readCheckpoints } from '../../ledger/checkpoints/read.ts'
import { createCheckpointSigner, type CheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { catalogSignerState, fileSignerState, type SignerState } from '../../ledger/checkpoints/signer-state.ts'
import { tileReader } from '../../ledger/checkpoints/tiles.ts'
import { inclusionProofFromTiles } from '../../ledger/tile-math.ts'
import { thinCheckpoints } from '../../ledger/checkpoints/thin.ts'
import { treeHash, verifyConsistency, verifyInclusion } from '../../ledger/merkle.ts'
import { openCheckpoint, readCheckpoint } from '../../ledger/proof/checkpoint.ts'
import { type Keyring, parseKeyring } from '../../ledger/proof/keyring.ts'
import { formatSkey, newSeed, parseVkey } from '../../ledger/proof/keys.ts'
import { verifyTlogProof } from '../../ledger/proof/tlog-proof.ts'
import { createProofs, type Proofs } from '../../ledger/proofs.ts'
import { verifyStored } from '../../ledger/verify-stored.ts'
import { createWorld, record, type World } from './world.ts'

let world: World
const oldKey = formatSkey('old', newSeed())
const keyring = parseKeyring(oldKey)
let signer: CheckpointSigner
let proofs: Proofs
beforeAll(async () => {
  world = await createWorld()
  signer = createCheckpointSigner({
    store: world.store,
    keyring,
    states: [catalogSignerState(world.store.catalog)],
    logger: silentLogger,
  })
  proofs = createProofs({ store: world.store, signer })
})
afterAll(() => world[Symbol.asyncDispose]())

const grow = async (companyId: CompanyId, count: number): Promise<void> => {
  for (let left = count; left > 0; left -= 1000) {
    await world.ledger.append(companyId, { records: Array.from({ length: Math.min(left, 1000) }, () => record()) })
  }
}

const leavesOf = (companyId: CompanyId): Promise<Buffer[]> =>
  world.sql(companyId, async (sql) => {
    const rows = await sql<{ leaf: Buffer }[]>`
      select leaf from ledger_records where company_id = ${companyId} order by position`
    return rows.map(({ leaf }) => leaf)
  })

test('a checkpoint is a signed note over exactly the tree of the records', async () => {
  const companyId = await world.company()
  await grow(companyId, 299)
  const signed = await signer.sign(companyId)
  const opened = openCheckpoint(signed!.note, [parseVkey(keyring.vkey(`test/${companyId}`))!])
  expect(opened).toMatchObject({ kind: 'verified', checkpoint: { origin: `test/${companyId}`, size: 300 } })
  expect(readCheckpoint(signed!.note)?.root).toEqual(treeHash(await leavesOf(companyId)))
  expect(await signer.sign(companyId)).toEqual(signed)
})

test('the smallest stored checkpoint that is large enough is found, and none is signed for that', async () => {
  const companyId = await world.company()
  await signer.sign(companyId)
  await grow(companyId, 4)
  await signer.sign(companyId)
  await grow(companyId, 4)
  const find = (atLeast: number | null) =>
    world.sql(companyId, async (sql) => (await readCheckpoints(sql, [{ companyId, atLeast }]))[0]?.size)
  expect(await Promise.all([0, 1, 2, 5, 6, null].map(find))).toEqual([1, 1, 5, 5, undefined, 5])
})

test('proofs for every kind of index and pair of sizes verify, across tiles that are complete and that are not', async () => {
  const companyId = await world.company()
  for (const size of [3, 255, 256, 257, 700]) {
    const [row] = await world.sql(
      companyId,
      (sql) => sql`select size from ledger_heads where company_id = ${companyId}`,
    )
    await grow(companyId, size - row!['size'])
    await signer.sign(companyId)
  }
  const leaves = await leavesOf(companyId)
  const sizes = [1, 2, 3, 128, 255, 256, 257, 511, 512, 513, 700]
  for (const size of sizes) {
    const root = treeHash(leaves.slice(0, size))
    for (const index of [0, 1, 127, 255, 256, 300, size - 1].filter((one) => one < size)) {
      const proof = await world.sql(companyId, (sql) =>
        inclusionProofFromTiles(index, size, tileReader(sql, companyId)),
      )
      expect(verifyInclusion({ index, size, leaf: leaves[index]!, proof, root })).toBe(true)
    }
    for (const size2 of sizes.filter((one) => one >= size)) {
      const [proof] = await proofs.consistencyProofs([companyId], { from: size, to: size2 })
      const root2 = treeHash(leaves.slice(0, size2))
      expect(verifyConsistency({ size1: size, size2, root1: root, root2, proof: proof as Uint8Array[] })).toBe(true)
    }
  }
  await expect(proofs.consistencyProofs([companyId], { from: 2, to: 1 })).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
  })
  await expect(proofs.consistencyProofs([companyId], { from: 0, to: 1 })).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
  })
  expect(await proofs.consistencyProofs([companyId], { from: 1, to: 701 })).toMatchObject([{ code: 'NOT_FOUND' }])
})

test('a proof in a ledger of 70,000 records takes two statements, and fifty proofs in two ledgers take two a shard', async () => {
  const companyId = await world.company()
  await grow(companyId, 69_999)
  await signer.sign(companyId)
  let statements = 0
  const scope = { onStatement: () => (statements += 1) }
  const [proof] = await proofs.recordProofs([{ companyId, position: 12_345 }], scope)
  expect(statements).toBe(2)
  expect(verifyTlogProof(proof as string, [parseVkey(keyring.vkey(`test/${companyId}`))!])).toMatchObject({
    kind: 'verified',
    index: 12_345,
  })
  statements = 0
  await proofs.consistencyProofs([companyId], { from: 300, to: 69_000 }, scope)
  expect(statements).toBe(2)
  const small = await world.company()
  await grow(small, 20)
  await signer.sign(small)
  statements = 0
  const places = [
    ...Array.from({ length: 40 }, (_, i) => ({ companyId, position: i * 1_700 })),
    ...Array.from({ length: 10 }, (_, position) => ({ companyId: small, position })),
  ]
  const many = await proofs.recordProofs(places, scope)
  expect(statements).toBeLessThanOrEqual(2 * new Set([companyId, small].map((id) => world.store.shardOf(id))).size)
  for (const [index, text] of many.entries()) {
    const { companyId: id, position } = places[index]!
    expect(verifyTlogProof(text as string, [parseVkey(keyring.vkey(`test/${id}`))!])).toMatchObject({
      kind: 'verified',
      index: position,
    })
  }
  expect((await verifyStored({ ...world, keyring }, companyId)).firstBreak).toBeNull()
})

test('a record that no checkpoint covers yet gets one with its proof; one that does not exist gets none', async () => {
  const companyId = await world.company()
  const [proof, none] = await proofs.recordProofs([0, 1].map((position) => ({ companyId, position })))
  expect(verifyTlogProof(proof as string, [parseVkey(keyring.vkey(`test/${companyId}`))!]).kind).toBe('verified')
  expect(none).toBeNull()
})

describe('a tree that was put back or forked is not signed', () => {
  const damage: [string, string, (companyId: CompanyId) => Promise<unknown>][] = [
    [
      'smaller',
      '10 records were signed, and there are fewer',
      (companyId) =>
        world.sql(companyId, async (sql) => {
          await sql`delete from ledger_records where company_id = ${companyId} and position >= 5`
          await sql`delete from ledger_checkpoints where company_id = ${companyId}`
          await sql`update ledger_heads set size = 5, leaf =
            (select leaf from ledger_records where company_id = ${companyId} and position = 4)
            where company_id = ${companyId}`
        }),
    ],
    [
      'forked',
      'another tree of 10 records was signed',
      async (companyId) => {
        await world.sql(companyId, async (sql) => {
          await sql`delete from ledger_records where company_id = ${companyId} and position >= 5`
          await sql`delete from ledger_checkpoints where company_id = ${companyId}`
          await sql`update ledger_heads set size = 5, leaf =
            (select leaf from ledger_records where company_id = ${companyId} and position = 4)
            where company_id = ${companyId}`
        })
        await grow(companyId, 8)
      },
    ],
  ]
  test.each(damage)('%s, whichever of the two states remembers it; verifying says so, too', async (_, what, harm) => {
    const directory = mkdtempSync(join(tmpdir(), 'ledgerway-state-'))
    const path = join(directory, 'signed')
    try {
      for (const kept of ['catalog', 'file'] as const) {
        const companyId = await world.company()
        await grow(companyId, 9)
        using file = fileSignerState(path)
        const catalog = catalogSignerState(world.store.catalog)
        const alarms: string[] = []
        const start = (states: SignerState[]) =>
          createCheckpointSigner({
            store: world.store,
            keyring,
            states,
            logger: silentLogger,
            onAlarm: (company) => alarms.push(company),
          })
        await start([catalog, file]).sign(companyId)
        await harm(companyId)
        const states = kept === 'file' ? [file] : [catalog]
        const verified = await verifyStored({ ...world, keyring, witnesses: states }, companyId)
        expect(verified.firstBreak?.what).toBe(what)
        const again = start(states)
        await expect(again.sign(companyId)).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' })
        expect(alarms).toEqual([companyId])
        expect(again.refused()).toEqual([companyId])
        expect(await world.sql(companyId, (sql) => readCheckpoints(sql, [{ companyId, atLeast: null }]))).toEqual([])
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('a chain that was tampered with since the last signing is not signed', () => {
  const forged = Buffer.alloc(32, 7)
  const forgeHead = (companyId: CompanyId) =>
    world.sql(companyId, (sql) => sql`update ledger_heads set leaf = ${forged} where company_id = ${companyId}`)
  const damage: [string, string, (companyId: CompanyId) => Promise<unknown>][] = [
    ['a head that is not the last leaf', 'has a head that is not the leaf of its last record', forgeHead],
    [
      'a record appended to such a head',
      'has a record that does not follow the one before: 5',
      async (companyId) => {
        await forgeHead(companyId)
        await grow(companyId, 3)
      },
    ],
    [
      'a record that is gone',
      'has a record that does not follow the one before: 7',
      async (companyId) => {
        await grow(companyId, 4)
        await world.sql(
          companyId,
          (sql) => sql`delete from ledger_records where company_id = ${companyId} and position = 6`,
        )
      },
    ],
  ]
  test.each(damage)('%s', async (_, what, harm) => {
    const companyId = await world.company()
    await grow(companyId, 4)
    const before = await signer.sign(companyId)
    await harm(companyId)
    await expect(signer.sign(companyId)).rejects.toMatchObject({
      code: 'LEDGER_CORRUPT',
      message: `No checkpoint is signed: the ledger ${what}.`,
    })
    expect(signer.refused()).toContain(companyId)
    const [newest] = await world.sql(companyId, (sql) => readCheckpoints(sql, [{ companyId, atLeast: null }]))
    expect(newest?.note).toBe(before?.note)
  })

  test('nor is its first checkpoint, and a head that was put right is signed again', async () => {
    const companyId = await world.company()
    await grow(companyId, 2)
    const [head] = await world.sql(
      companyId,
      (sql) => sql<{ leaf: Buffer }[]>`select leaf from ledger_heads where company_id = ${companyId}`,
    )
    await forgeHead(companyId)
    await expect(signer.sign(companyId)).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' })
    await world.sql(
      companyId,
      (sql) => sql`update ledger_heads set leaf = ${head!.leaf} where company_id = ${companyId}`,
    )
    expect((await signer.sign(companyId))?.size).toBe(3)
    expect(signer.refused()).not.toContain(companyId)
  })
})

test('what the file remembers survives a restart and a torn last line', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ledgerway-state-'))
  const path = join(directory, 'signed')
  const tree = (size: number) => ({ size, root: Buffer.alloc(32, size) })
  try {
    using first = fileSignerState(path)
    await first.advance('d/a', null, tree(1))
    await first.advance('d/a', tree(1), tree(2))
    writeFileSync(path, `${readFileSync(path, 'utf8')}d/a 3 AAAA`)
    using second = fileSignerState(path)
    expect(await second.last('d/a')).toEqual(tree(2))
    await second.advance('d/b', null, tree(7))
    using third = fileSignerState(path)
    expect([await third.last('d/a'), await third.last('d/b')]).toEqual([tree(2), tree(7)])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('the file stays small, however often is signed, and what several processes write to it at once is in it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ledgerway-state-'))
  const path = join(directory, 'signed')
  const tree = (size: number) => ({ size, root: Buffer.alloc(32, size) })
  try {
    using one = fileSignerState(path, { compactFromBytes: 2_000 })
    using other = fileSignerState(path, { compactFromBytes: 2_000 })
    for (let size = 1; size <= 400; size++) {
      await one.advance('d/a', null, tree(size))
      await other.advance('d/b', null, tree(size))
    }
    await other.advance('d/c', null, tree(1))
    expect(readFileSync(path).length).toBeLessThan(3_000)
    using again = fileSignerState(path)
    const last = await Promise.all(['d/a', 'd/b', 'd/c'].map((origin) => again.last(origin)))
    expect(last).toEqual([tree(400), tree(400), tree(1)])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('while a key is being replaced both sign, and what the old one alone has signed stays valid', async () => {
  const companyId = await world.company()
  const before = await signer.sign(companyId)
  await grow(companyId, 1)
  const both = parseKeyring(`${formatSkey('new', newSeed())}\n${oldKey}`)
  const after = await createCheckpointSigner({
    store: world.store,
    keyring: both,
    states: [catalogSignerState(world.store.catalog)],
    logger: silentLogger,
  }).sign(companyId)
  const origin = `test/${companyId}`
  for (const vkey of [keyring.vkey(origin), both.vkey(origin)]) {
    expect(openCheckpoint(after!.note, [parseVkey(vkey)!]).kind).toBe('verified')
  }
  expect(openCheckpoint(before!.note, [parseVkey(keyring.vkey(origin))!]).kind).toBe('verified')
  expect((await verifyStored({ ...world, keyring: both }, companyId)).firstBreak).toBeNull()
})

test('a tree that only the old key has signed is signed once more by the new one, and stored so', async () => {
  const companyId = await world.company()
  const before = await signer.sign(companyId)
  const both = parseKeyring(`${formatSkey('new', newSeed())}\n${oldKey}`)
  const states = [catalogSignerState(world.store.catalog)]
  const bothSign = createCheckpointSigner({ store: world.store, keyring: both, states, logger: silentLogger })
  const again = await bothSign.sign(companyId)
  expect(again).toMatchObject({ size: before!.size })
  const origin = `test/${companyId}`
  for (const ring of [keyring, both]) {
    expect(openCheckpoint(again!.note, [parseVkey(ring.vkey(origin))!]).kind).toBe('verified')
  }
  expect(await world.sql(companyId, (sql) => readCheckpoints(sql, [{ companyId, atLeast: null }]))).toMatchObject([
    again,
  ])
  expect(await bothSign.sign(companyId)).toEqual(again)
})

test('when the old key has gone, its vkey takes its place: what it alone has signed is known and verifies', async () => {
  const companyId = await world.company()
  await signer.sign(companyId)
  const origin = `test/${companyId}`
  const newKey = formatSkey('new', newSeed())
  const both = parseKeyring(`${newKey}\n${oldKey}`)
  expect(both.vkeys(origin).map(({ state }) => state)).toEqual(['current', 'signing'])
  const without = parseKeyring(newKey)
  const retired = parseKeyring(`${newKey}, ${keyring.vkey('anybody/else')}`)
  expect(retired.vkeys(origin)).toEqual([
    { vkey: without.vkey(origin), state: 'current' },
    { vkey: keyring.vkey(origin), state: 'retired' },
  ])
  expect(retired.signers(origin)).toHaveLength(1)
  const verify = async (ring: Keyring) => (await verifyStored({ ...world, keyring: ring }, companyId)).firstBreak
  expect(await verify(without)).toMatchObject({ what: expect.stringContaining('no known key') as string })
  expect(await verify(retired)).toBeNull()
})

test('older checkpoints get rarer with their distance, and one that is large enough is always found near by', async () => {
  const companyId = await world.company()
  const distances = Array.from({ length: 20_000 }, (_, i) => i)
  const sizesAfter = async (newest: number): Promise<number[]> => {
    await world.sql(companyId, async (sql) => {
      await sql`insert into ledger_checkpoints (company_id, size, note)
        select ${companyId}, s, 'note' from generate_series(${newest - 19_999}::bigint, ${newest}::bigint) s
        on conflict do nothing`
      await thinCheckpoints(sql, companyId, newest)
    })
    const rows = await world.sql(
      companyId,
      (sql) => sql<{ size: number }[]>`
        select size from ledger_checkpoints where company_id = ${companyId} order by size desc`,
    )
    return rows.map(({ size }) => size)
  }
  const newest = 1_000_000
  const sizes = await sizesAfter(newest)
  expect(sizes.slice(0, 512)).toEqual(distances.slice(0, 512).map((distance) => newest - distance))
  expect(sizes.length).toBeLessThan(512 + 256 * Math.log2(20_000 / 256))
  for (const [index, size] of sizes.entries()) {
    const gap = (sizes[index - 1] ?? newest) - size
    expect(gap).toBeLessThanOrEqual(Math.max(1, (newest - size) / 128))
  }
  // Grown by much, and thinned again: bounded by the logarithm still.
  const later = await sizesAfter(newest + 500_000)
  expect(later.length).toBeLessThan(512 + 256 * Math.log2(520_000 / 256))
  expect(later.filter((size) => size <= newest).length).toBeGreaterThan(8)
})

test('signing thins now and then', async () => {
  const companyId = await world.company()
  await grow(companyId, 3_000)
  await world.sql(
    companyId,
    (sql) => sql`insert into ledger_checkpoints (company_id, size, note)
      select ${companyId}, s, 'note' from generate_series(1, 3000) s`,
  )
  const count = async () => {
    const [row] = await world.sql(
      companyId,
      (sql) => sql<[{ n: number }]>`select count(*) as n from ledger_checkpoints where company_id = ${companyId}`,
    )
    return row.n
  }
  for (let signed = 0; signed < 2_000 && (await count()) > 2_900; signed++) {
    await grow(companyId, 1)
    await signer.sign(companyId)
  }
  expect(await count()).toBeLessThan(2_000)
})

test('the follower signs what the feed says has grown', async () => {
  const companyId = await world.company()
  const shard = world.store.shardOf(companyId)
  await world.sql(companyId, (sql) => sql`select * from feed_round(1000, false)`)
  await using follower = createCheckpointFollower({ store: world.store, signer, logger: silentLogger, pollMs: 50 })
  await follower.start()
  follower.nudge(shard)
  await expect
    .poll(() => world.sql(companyId, (sql) => readCheckpoints(sql, [{ companyId, atLeast: 1 }])))
    .toHaveLength(1)
})

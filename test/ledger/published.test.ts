import Fastify from 'fastify'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { silentLogger } from '../../core/log.ts'
import { createErrorFormatter } from '../../gateway/errors.ts'
import { addPublishedRoutes } from '../../gateway/http/published.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { hashLeaf } from '../../ledger/merkle.ts'
import { readCheckpoint } from '../../ledger/proof/checkpoint.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { formatSkey, newSeed } from '../../ledger/proof/keys.ts'
import { publishLedger, readPublished } from '../../ledger/published.ts'
import { parseTilePath, rootFromTiles, tilePath } from '../../ledger/tile-math.ts'
import { createWorld, record, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

test('a published ledger can be followed from its files alone, and an unpublished one not at all', async () => {
  const companyId = await world.company()
  const signer = createCheckpointSigner({
    store: world.store,
    keyring: parseKeyring(formatSkey('test', newSeed())),
    states: [catalogSignerState(world.store.catalog)],
    logger: silentLogger,
  })
  await world.ledger.append(companyId, { records: Array.from({ length: 600 }, () => record()) })
  await signer.sign(companyId)
  const get = (path: string) => readPublished(world.store, companyId, path)
  expect(await get('checkpoint')).toBeNull()

  await publishLedger(world.ledger, companyId, { published: true })
  await signer.sign(companyId)
  const checkpoint = readCheckpoint((await get('checkpoint'))!.body.toString())!
  expect(checkpoint.size).toBe(602)
  const root = await rootFromTiles(checkpoint.size, (tiles) =>
    Promise.all(tiles.map(async (tile) => (await get(tilePath(tile)))!.body)),
  )
  expect(Buffer.from(root).equals(checkpoint.root)).toBe(true)

  for (const [path, width] of [
    ['tile/entries/000', 256],
    ['tile/entries/002.p/90', 90],
  ] as const) {
    const entries = (await get(path))!
    const leaves: Buffer[] = []
    for (let at = 0; at < entries.body.length;) {
      const length = entries.body.readUInt16BE(at)
      leaves.push(hashLeaf(entries.body.subarray(at + 2, at + 2 + length)))
      at += 2 + length
    }
    expect(leaves).toHaveLength(width)
    const level0 = path.replace('entries', '0')
    expect(parseTilePath(level0)?.width).toBe(width)
    expect(Buffer.concat(leaves).equals((await get(level0))!.body)).toBe(true)
    expect(entries.immutable).toBe(true)
  }
  for (const path of [
    'tile/0/003',
    'tile/0/002',
    'tile/0/002.p/91',
    'tile/1/000',
    'tile/0/0',
    'tile/../x',
    '',
    'tile/entries/x',
  ]) {
    expect(await get(path)).toBeNull()
  }
  await publishLedger(world.ledger, companyId, { published: false })
  expect(await get('checkpoint')).toBeNull()
})

test('published files are there without a key, tiles for ever, and nothing tells whether a company exists', async () => {
  await using app = Fastify()
  const complete = { body: Buffer.from('hashes'), contentType: 'application/octet-stream', immutable: true }
  addPublishedRoutes(app, {
    read: async (companyId, path) => (companyId === 'open' && path === 'tile/0/x001/234' ? complete : null),
    errors: createErrorFormatter({ logger: silentLogger }),
  })
  const tile = await app.inject('/ledger/open/tile/0/x001/234')
  expect([tile.statusCode, tile.body, tile.headers['cache-control']]).toEqual([
    200,
    'hashes',
    'public, max-age=31536000, immutable',
  ])
  const [closed, missing] = await Promise.all([app.inject('/ledger/closed/checkpoint'), app.inject('/ledger/open/x')])
  expect([closed.statusCode, closed.json().errors]).toEqual([404, missing.json().errors])
})

import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { silentLogger } from '../../core/log.ts'
import { catalogSignerState } from '../../ledger/checkpoints/signer-state.ts'
import { createCheckpointSigner } from '../../ledger/checkpoints/signer.ts'
import { hashLeaf, treeHash, verifyConsistency } from '../../ledger/merkle.ts'
import { parseKeyring } from '../../ledger/proof/keyring.ts'
import { formatSkey, newSeed, parseVkey } from '../../ledger/proof/keys.ts'
import { verifyTlogProof } from '../../ledger/proof/tlog-proof.ts'
import { createProofs } from '../../ledger/proofs.ts'
import { verifyStored } from '../../ledger/verify-stored.ts'
import { createWorld, record, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world[Symbol.asyncDispose]())

/** What one writer does, one append after the other: how many records, to which stream, as a change of its own or grouped. */
const writer = fc.array(
  fc.record({
    records: fc.integer({ min: 1, max: 3 }),
    stream: fc.constantFrom('a', 'b', 'c'),
    own: fc.boolean(),
    withPrivate: fc.boolean(),
  }),
  { minLength: 1, maxLength: 3 },
)

test('any appends by any number of writers at once give one chain, and proofs for every record and pair of sizes', async () => {
  const keyring = parseKeyring(formatSkey('test', newSeed()))
  const states = [catalogSignerState(world.store.catalog)]
  const signer = createCheckpointSigner({ store: world.store, keyring, states, logger: silentLogger })
  const proofs = createProofs({ store: world.store, signer })
  await fc.assert(
    fc.asyncProperty(fc.array(writer, { minLength: 1, maxLength: 5 }), async (writers) => {
      const companyId = await world.company()
      const receipts = await Promise.all(
        writers.map(async (steps) => {
          const positions: number[] = []
          for (const { records: count, stream, own, withPrivate } of steps) {
            const person = withPrivate ? { subject: 'p', data: { mail: 'p@example.com' } } : null
            const records = Array.from({ length: count }, () => record({ stream, private: person }))
            const done = own
              ? await world.ledger.change(companyId, async () => ({ value: null, records }))
              : await world.ledger.append(companyId, { records })
            positions.push(...done.records.map(({ position }) => position))
          }
          return positions
        }),
      )
      // Each writer's own in its order; all of them together without gap or repetition.
      for (const positions of receipts) expect(positions).toEqual(positions.toSorted((a, b) => a - b))
      const size = 1 + receipts.flat().length
      const all = [0, ...receipts.flat()].toSorted((a, b) => a - b)
      expect(all).toEqual(Array.from({ length: size }, (_, position) => position))
      await signer.sign(companyId)
      const verified = await verifyStored({ ...world, keyring }, companyId)
      expect(verified).toEqual({ companyId, from: 0, until: size, firstBreak: null })

      const verifier = parseVkey(keyring.vkey(`test/${companyId}`))!
      const texts = await proofs.recordProofs(all.map((position) => ({ companyId, position })))
      const leaves = texts.map((text, index) => {
        const proven = verifyTlogProof(text as string, [verifier])
        expect(proven).toMatchObject({ kind: 'verified', index, checkpoint: { size } })
        return hashLeaf(Buffer.from(proven.kind === 'verified' ? proven.entry : ''))
      })
      const pairs = all.flatMap((from) => all.slice(from).map((to) => ({ size1: from + 1, size2: to + 1 })))
      await Promise.all(
        pairs.map(async ({ size1, size2 }) => {
          const [proof] = await proofs.consistencyProofs([companyId], { from: size1, to: size2 })
          const [root1, root2] = [treeHash(leaves, 0, size1), treeHash(leaves, 0, size2)]
          expect(verifyConsistency({ size1, size2, root1, root2, proof: proof as Uint8Array[] })).toBe(true)
        }),
      )
    }),
    { numRuns: 8 },
  )
})

import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { createCounterparts } from '../../network/counterparts.ts'
import { parseRelationshipId, type Relationship, relationshipId } from '../../network/relationship.ts'
import { countersignaturesOf } from '../../network/countersignatures.ts'
import { readRelationshipStreams } from '../../network/read-relationship-streams.ts'
import { readEdges } from '../../network/relationship-edges.ts'
import { readTold } from '../../network/relationship-records.ts'
import { foldActions, type PlacedAction, type RelationshipState } from '../../network/relationship-rules.ts'
import { createWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({ shardCount: 2 })
})
afterAll(() => world[Symbol.asyncDispose]())

let made = 0
/** Two new companies on different shards. */
async function twoCompanies(): Promise<{ buyer: CompanyId; seller: CompanyId }> {
  const buyer = parseCompanyId(`buyer-${++made}`)
  let seller = parseCompanyId(`seller-${made}`)
  while (world.store.shardOf(seller) === world.store.shardOf(buyer)) seller = parseCompanyId(`seller-${++made}`)
  for (const id of [buyer, seller]) await world.companies.create({ id, name: id }, {})
  return { buyer, seller }
}

const edgeOf = async (companyId: CompanyId, id: Relationship['id']) =>
  world.store.readOne(companyId, async (sql) => (await readEdges(sql, [{ companyId, id }]))[0] ?? null)

const toldBy = (companyId: CompanyId) =>
  world.store.readOne(companyId, async (sql) => {
    const rows = await sql<{ position: number; kind: string; data: string; leaf: Buffer }[]>`
      select position, kind, data, leaf from ledger_records
      where company_id = ${companyId} and kind like 'relationship.%' order by position`
    return rows.flatMap((row) => {
      const told = readTold(companyId, row.kind, row.data)
      return told === null ? [] : [{ position: row.position, leaf: row.leaf.toString('base64'), told }]
    })
  })

const sizeOf = (companyId: CompanyId) =>
  world.store.readOne(companyId, async (sql) => {
    const [head] = await sql<{ size: number }[]>`select size from ledger_heads where company_id = ${companyId}`
    return head?.size ?? 0
  })

/** Delivers what both ledgers hold until nothing more follows from it. */
async function settle(companyIds: readonly CompanyId[], deliver = world.counterparts.deliver): Promise<void> {
  const cursors = new Map(companyIds.map((id) => [id, 0]))
  for (let moved = true; moved;) {
    moved = false
    for (const id of companyIds) {
      const [from, size] = [cursors.get(id) ?? 0, await sizeOf(id)]
      if (size === from) continue
      await deliver(id, from, size - from)
      cursors.set(id, size)
      moved = true
    }
  }
}

const stateOf = (edge: Relationship | null): RelationshipState | null => {
  if (edge === null) return null
  const { status, invitedBy, suspendedBy, terms, rating, invitedAt, activeAt, endedAt, updatedAt } = edge
  return { status, invitedBy, suspendedBy, terms, rating, invitedAt, activeAt, endedAt, updatedAt }
}

describe('a relationship over two shards', () => {
  test('a story longer than what is looked at shows no action as unverified whose answer is out of sight', async () => {
    const { buyer, seller } = await twoCompanies()
    const parts = { buyer, seller, kind: 'supply' }
    const { relationship } = await world.relationships.invite(parts, buyer, {})
    const named = { ...parts, id: relationship.id }
    await settle([buyer, seller])
    await world.relationships.act(named, 'accept', seller, {})
    await settle([buyer, seller])
    for (let i = 0; i < 30; i++) {
      for (const action of ['suspend', 'resume'] as const) await world.relationships.act(named, action, buyer, {})
    }
    await settle([buyer, seller])
    const streams = new Map(
      await Promise.all(
        [buyer, seller].map(async (companyId) => {
          const key = { companyId, id: relationship.id }
          const read = await world.store.readOne(companyId, (sql) => readRelationshipStreams(sql, 'test', [key]))
          return [companyId, read.get(key) ?? []] as const
        }),
      ),
    )
    const shown = countersignaturesOf('test', parts, streams)
    // The last hundred of the buyer's hundred and twenty-three records: the actions first, then what acknowledges them.
    expect(shown.length).toBeGreaterThan(0)
    expect(shown.filter(({ verified }) => !verified)).toEqual([])
  })

  test('an invitation reaches the other side, is accepted there, and each ledger holds the other’s leaf', async () => {
    const { buyer, seller } = await twoCompanies()
    const parts = { buyer, seller, kind: 'supply' }
    const { relationship } = await world.relationships.invite({ ...parts, terms: { days: 30 }, rating: 4 }, buyer, {})
    expect(relationship).toMatchObject({ status: 'INVITED', invitedBy: buyer, terms: '{"days":30}', rating: 4 })
    expect(await edgeOf(seller, relationship.id)).toBeNull()

    await settle([buyer, seller])
    expect(stateOf(await edgeOf(seller, relationship.id))).toEqual(stateOf(relationship))

    const { relationship: accepted } = await world.relationships.act(
      { ...parts, id: relationship.id },
      'accept',
      seller,
      {},
    )
    await settle([buyer, seller])
    expect(accepted.status).toBe('ACTIVE')
    expect(stateOf(await edgeOf(buyer, relationship.id))).toEqual(stateOf(accepted))

    const [atBuyer, atSeller] = [await toldBy(buyer), await toldBy(seller)]
    expect(atBuyer.map(({ told }) => told.kind)).toEqual(['action', 'acknowledged', 'received'])
    expect(atSeller.map(({ told }) => told.kind)).toEqual(['received', 'action', 'acknowledged'])
    const [invited, acknowledged] = atBuyer
    const [received] = atSeller
    expect(received?.told).toMatchObject({
      of: { origin: `test/${buyer}`, position: invited?.position, leaf: invited?.leaf },
    })
    expect(acknowledged?.told).toMatchObject({
      of: { origin: `test/${seller}`, position: received?.position, leaf: received?.leaf },
    })
  })

  test('what the table does not allow is refused with the status it was in', async () => {
    const { buyer, seller } = await twoCompanies()
    const parts = { buyer, seller, kind: 'supply' }
    const { relationship } = await world.relationships.invite(parts, buyer, {})
    const named = { ...parts, id: relationship.id }
    await expect(world.relationships.act(named, 'accept', buyer, {})).rejects.toMatchObject({
      code: 'INVALID_TRANSITION',
      details: { status: 'INVITED' },
    })
    await expect(world.relationships.invite(parts, buyer, {})).rejects.toMatchObject({ code: 'INVALID_TRANSITION' })
    // The seller has not heard of it yet.
    await expect(world.relationships.act(named, 'accept', seller, {})).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const stranger = parseCompanyId('stranger')
    await expect(world.relationships.act(named, 'end', stranger, {})).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })

  test.each([
    ['with oneself', { seller: 'self', buyer: 'self', kind: 'supply' }, 'BAD_USER_INPUT'],
    ['with nobody', { seller: 'self', buyer: 'no-such-company', kind: 'supply' }, 'NOT_FOUND'],
    ['of a strange kind', { seller: 'self', buyer: 'other', kind: 'A~B' }, 'BAD_USER_INPUT'],
    ['with a rating out of range', { seller: 'self-2', buyer: 'self', kind: 'supply', rating: 11 }, 'BAD_USER_INPUT'],
    ['with a rating by the seller', { seller: 'self', buyer: 'self-2', kind: 'supply', rating: 5 }, 'BAD_USER_INPUT'],
    [
      'with terms that are no object',
      { seller: 'self', buyer: 'self-2', kind: 'supply', terms: [1] },
      'BAD_USER_INPUT',
    ],
    [
      'with terms too large',
      { seller: 'self', buyer: 'self-2', kind: 'supply', terms: { a: 'x'.repeat(17_000) } },
      'PAYLOAD_TOO_LARGE',
    ],
  ])('an invitation %s is refused', async (_, invitation, code) => {
    for (const id of ['self', 'self-2']) await world.companies.create({ id, name: id }, {}).catch(() => {})
    const given = invitation as unknown as Parameters<World['relationships']['invite']>[0]
    await expect(world.relationships.invite(given, parseCompanyId('self'), {})).rejects.toMatchObject({ code })
  })

  test('delivering everything again changes nothing', async () => {
    const { buyer, seller } = await twoCompanies()
    const { relationship } = await world.relationships.invite({ buyer, seller, kind: 'supply' }, seller, {})
    await settle([buyer, seller])
    const before = [await sizeOf(buyer), await sizeOf(seller), await edgeOf(buyer, relationship.id)]
    await settle([buyer, seller])
    expect([await sizeOf(buyer), await sizeOf(seller), await edgeOf(buyer, relationship.id)]).toEqual(before)
  })

  test('both inviting at once is one invitation, on both sides the same', async () => {
    const { buyer, seller } = await twoCompanies()
    const parts = { buyer, seller, kind: 'supply' }
    await Promise.all([
      world.relationships.invite({ ...parts, terms: { by: 'buyer' } }, buyer, {}),
      world.relationships.invite({ ...parts, terms: { by: 'seller' } }, seller, {}),
    ])
    await settle([buyer, seller])
    const id = relationshipId(parts)
    const [one, other] = [await edgeOf(buyer, id), await edgeOf(seller, id)]
    expect(stateOf(one)).toEqual(stateOf(other))
    expect(one).toMatchObject({ status: 'INVITED', invitedBy: buyer, terms: '{"by":"buyer"}' })
  })
})

/** A ledger whose changes can be made to fail before they start or after they are committed, like a process that dies. */
function faulty(ledger: Ledger): { ledger: Ledger; fail(when: 'before' | 'after', company: CompanyId): void } {
  let armed: { when: 'before' | 'after'; company: CompanyId } | null = null
  const failure = () => {
    armed = null
    return new AppError('SHARD_UNAVAILABLE', 'cut off')
  }
  return {
    fail(when, company) {
      armed = { when, company }
    },
    ledger: {
      ...ledger,
      async change(companyId, fn, scope) {
        if (armed?.when === 'before' && armed.company === companyId) throw failure()
        const result = await ledger.change(companyId, fn, scope)
        if (armed?.when === 'after' && armed.company === companyId) throw failure()
        return result
      },
    },
  }
}

describe('a counterpart that cannot be reached', () => {
  test('is parked, holds up nobody else, and gets everything in order when it is back', async () => {
    const { buyer, seller } = await twoCompanies()
    const { seller: other } = await twoCompanies()
    let isDown = true
    const counterparts = createCounterparts({
      store: world.store,
      logger: silentLogger,
      ledger: {
        ...world.ledger,
        async change(companyId, fn, scope) {
          if (isDown && companyId === seller) throw new AppError('SHARD_UNAVAILABLE', 'down')
          return world.ledger.change(companyId, fn, scope)
        },
      },
    })
    const parts = { buyer, seller, kind: 'supply' }
    const id = relationshipId(parts)
    await world.relationships.invite(parts, buyer, {})
    await world.relationships.invite({ buyer, seller: other, kind: 'supply' }, buyer, {})
    await counterparts.deliver(buyer, 0, await sizeOf(buyer))
    expect((await edgeOf(other, relationshipId({ buyer, seller: other, kind: 'supply' })))?.status).toBe('INVITED')
    expect(await edgeOf(seller, id)).toBeNull()

    const from = await sizeOf(buyer)
    await world.relationships.act({ ...parts, id }, 'end', buyer, {})
    await world.relationships.invite({ ...parts, terms: { second: true } }, buyer, {})
    isDown = false
    // Parked: what comes later must not overtake what waits.
    await counterparts.deliver(buyer, from, 2)
    expect(await edgeOf(seller, id)).toBeNull()

    const shard = world.store.shardOf(buyer)
    expect(await counterparts.retryParked(shard)).toBe(0)
    expect(await edgeOf(seller, id)).toMatchObject({ status: 'INVITED', terms: '{"second":true}' })
    expect((await toldBy(seller)).map(({ told }) => (told.kind === 'received' ? told.placed.action : ''))).toEqual([
      'invite',
      'end',
      'invite',
    ])
  })
})

type Step =
  | {
      do: 'act'
      by: 'buyer' | 'seller'
      action: 'accept' | 'decline' | 'suspend' | 'resume' | 'end' | 'invite' | 'rate'
    }
  | { do: 'deliver'; from: 'buyer' | 'seller'; again: number; upTo: number }
  | { do: 'crash'; on: 'buyer' | 'seller'; when: 'before' | 'after' }

const side = fc.constantFrom('buyer' as const, 'seller' as const)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('act' as const),
      by: side,
      action: fc.constantFrom('accept', 'decline', 'suspend', 'resume', 'end', 'invite', 'rate'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      from: side,
      again: fc.integer({ min: 0, max: 3 }),
      upTo: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      on: side,
      when: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
) as fc.Arbitrary<Step>

test('whatever both sides do, with late and doubled deliveries and crashes, both shards come to the fold of all actions', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 24 }), async (steps) => {
      const ids = await twoCompanies()
      const parts = { ...ids, kind: 'supply' }
      const id = relationshipId(parts)
      const named = parseRelationshipId(id)
      const faults = faulty(world.ledger)
      const counterparts = createCounterparts({ store: world.store, ledger: faults.ledger, logger: silentLogger })
      const cursors = { buyer: 0, seller: 0 }
      const refused = (error: unknown) => {
        if (!(error instanceof AppError) || !['INVALID_TRANSITION', 'NOT_FOUND'].includes(error.code)) throw error
      }
      await world.relationships.invite(parts, ids.buyer, {})
      for (const step of steps) {
        if (step.do === 'crash') faults.fail(step.when, ids[step.on])
        else if (step.do === 'deliver') {
          const at = Math.max(0, cursors[step.from] - step.again)
          const upTo = Math.min(await sizeOf(ids[step.from]), at + step.upTo)
          if (upTo > at) await counterparts.deliver(ids[step.from], at, upTo - at)
          cursors[step.from] = Math.max(cursors[step.from], upTo)
        } else if (step.action === 'invite') {
          await world.relationships.invite(parts, ids[step.by], {}).catch(refused)
        } else if (step.action === 'rate') {
          await world.relationships.rate(named, 7, ids[step.by], {}).catch(refused)
        } else {
          await world.relationships.act(named, step.action, ids[step.by], {}).catch(refused)
        }
      }
      for (let left = 1; left > 0;) {
        left = 0
        for (const who of ['buyer', 'seller'] as const) {
          const size = await sizeOf(ids[who])
          if (size > cursors[who]) await counterparts.deliver(ids[who], cursors[who], size - cursors[who])
          left += size - cursors[who]
          cursors[who] = size
        }
        for (const shard of world.store.shards) left += await counterparts.retryParked(shard)
        // What was delivered now may have been answered.
        for (const who of ['buyer', 'seller'] as const) left += (await sizeOf(ids[who])) - cursors[who]
      }

      const told = { buyer: await toldBy(ids.buyer), seller: await toldBy(ids.seller) }
      const actions: PlacedAction[] = [...told.buyer, ...told.seller].flatMap(({ told }) =>
        told.kind === 'action' ? [told.placed] : [],
      )
      const expected = foldActions(parts, actions)
      expect(stateOf(await edgeOf(ids.buyer, id))).toEqual(expected)
      expect(stateOf(await edgeOf(ids.seller, id))).toEqual(expected)
      // Every action is countersigned, once.
      for (const [mine, theirs] of [
        [told.buyer, told.seller],
        [told.seller, told.buyer],
      ] as const) {
        const own = mine.filter(({ told }) => told.kind === 'action')
        const received = theirs.filter(({ told }) => told.kind === 'received')
        const acknowledged = mine.filter(({ told }) => told.kind === 'acknowledged')
        const leaves = (list: typeof mine) => list.map(({ leaf }) => leaf)
        const named = (list: typeof mine) => list.map(({ told }) => (told.kind === 'action' ? '' : told.of.leaf))
        expect(named(received)).toEqual(leaves(own))
        expect(named(acknowledged).sort()).toEqual(leaves(received).sort())
      }
    }),
    { numRuns: 15 },
  )
})

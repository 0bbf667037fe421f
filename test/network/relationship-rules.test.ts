import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  actions,
  allows,
  foldActions,
  type PlacedAction,
  type RelationshipAction,
  type RelationshipState,
  type RelationshipStatus,
  rules,
  statuses,
} from '../../network/relationship-rules.ts'

const parties = { buyer: 'a', seller: 'b' }

/** Every allowed thing, written out by hand apart from the table: status, action, who, and the status after it. */
const allowed = new Set(
  `
  NONE      invite    either    INVITED
  NONE      establish either    ACTIVE
  INVITED   accept    invitee   ACTIVE
  INVITED   decline   invitee   DECLINED
  INVITED   end       inviter   ENDED
  ACTIVE    suspend   either    SUSPENDED
  ACTIVE    end       either    ENDED
  ACTIVE    rate      buyer     ACTIVE
  SUSPENDED resume    suspender ACTIVE
  SUSPENDED end       either    ENDED
  SUSPENDED rate      buyer     SUSPENDED
  ENDED     invite    either    INVITED
  ENDED     establish either    ACTIVE
  DECLINED  invite    either    INVITED
  DECLINED  establish either    ACTIVE
  `
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).join(' ')),
)

function stateOf(
  status: RelationshipStatus | 'NONE',
  invitedBy: string,
  suspendedBy: string,
): RelationshipState | null {
  if (status === 'NONE') return null
  return {
    status,
    invitedBy,
    suspendedBy: status === 'SUSPENDED' ? suspendedBy : null,
    terms: null,
    rating: null,
    invitedAt: '1',
    activeAt: null,
    endedAt: null,
    updatedAt: '1',
  }
}

function partiesOf(state: RelationshipState | null, actor: string): string[] {
  return [
    'either',
    ...(actor === parties.buyer ? ['buyer'] : []),
    ...(state !== null ? [actor === state.invitedBy ? 'inviter' : 'invitee'] : []),
    ...(state?.suspendedBy === actor ? ['suspender'] : []),
  ]
}

test('every status, action, actor, inviter and suspender: exactly what the written table allows', () => {
  const wrong: string[] = []
  let checked = 0
  for (const status of ['NONE', ...statuses] as const) {
    for (const action of actions) {
      for (const actor of ['a', 'b', 'stranger']) {
        for (const invitedBy of ['a', 'b']) {
          for (const suspendedBy of ['a', 'b']) {
            const state = stateOf(status, invitedBy, suspendedBy)
            const to = rules[status][action]?.to ?? status
            const expected =
              actor !== 'stranger' &&
              partiesOf(state, actor).some((party) => allowed.has(`${status} ${action} ${party} ${to}`))
            if (allows(parties, state, action, actor) !== expected) {
              wrong.push(`${status} ${action} by ${actor}, invited by ${invitedBy}, suspended by ${suspendedBy}`)
            }
            checked++
          }
        }
      }
    }
  }
  expect(wrong).toEqual([])
  expect(checked).toBe(6 * actions.length * 12)
})

const anAction = fc.record({
  action: fc.constantFrom<RelationshipAction[]>(...actions),
  actor: fc.constantFrom('a', 'b'),
  clock: fc.integer({ min: 1, max: 8 }),
  at: fc.constantFrom('1', '2', '3'),
  terms: fc.constant(null),
  rating: fc.option(fc.integer({ min: -10, max: 10 })),
})
const someActions = fc.uniqueArray(anAction, { selector: ({ clock, actor }) => `${clock} ${actor}`, maxLength: 12 })

test('the fold does not depend on the order in which actions arrive', () => {
  fc.assert(
    fc.property(
      someActions.chain((given) =>
        fc.tuple(fc.constant(given), fc.shuffledSubarray(given, { minLength: given.length })),
      ),
      ([given, shuffled]: [PlacedAction[], PlacedAction[]]) => {
        expect(foldActions(parties, shuffled)).toEqual(foldActions(parties, given))
      },
    ),
  )
})

test('a suspension is lifted only by who made it, and ends with the relationship', () => {
  const base = { at: '1', terms: null, rating: null }
  const suspended: PlacedAction[] = [
    { ...base, action: 'invite', actor: 'a', clock: 1 },
    { ...base, action: 'accept', actor: 'b', clock: 2 },
    { ...base, action: 'suspend', actor: 'b', clock: 3 },
  ]
  const then = (action: RelationshipAction, actor: string) =>
    foldActions(parties, [...suspended, { ...base, action, actor, clock: 4 }])
  expect(then('resume', 'a')?.status).toBe('SUSPENDED')
  expect(then('resume', 'b')?.status).toBe('ACTIVE')
  expect(then('end', 'a')).toMatchObject({ status: 'ENDED', suspendedBy: null, endedAt: '1' })
})

test('a seller can neither rate itself by an invitation nor be rid of its rating by inviting anew', () => {
  const base = { at: '1', terms: null, rating: null }
  const bySeller: PlacedAction = { ...base, action: 'invite', actor: parties.seller, clock: 1, rating: 10 }
  expect(foldActions(parties, [bySeller])?.rating).toBeNull()
  const rated: PlacedAction[] = [
    bySeller,
    { ...base, action: 'accept', actor: parties.buyer, clock: 2 },
    { ...base, action: 'rate', actor: parties.buyer, clock: 3, rating: -10 },
    { ...base, action: 'end', actor: parties.seller, clock: 4 },
  ]
  const again: PlacedAction = { ...base, action: 'invite', actor: parties.seller, clock: 5, rating: 10 }
  expect(foldActions(parties, [...rated, again])).toMatchObject({ status: 'INVITED', rating: -10 })
  const byBuyer: PlacedAction = { ...again, actor: parties.buyer, rating: 3 }
  expect(foldActions(parties, [...rated, byBuyer])?.rating).toBe(3)
})

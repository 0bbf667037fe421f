/**
 * Who may do what to a relationship in which state: one table, and the fold that both sides compute from the same actions.
 *
 * Each side acts on what it knows, so an action may turn out to have come too late. Both sides then order all actions by
 * (Lamport clock, company id) and skip those that the table does not allow where they stand: the same actions give the
 * same state on both shards, in whichever order they arrived.
 */
export const statuses = ['INVITED', 'ACTIVE', 'SUSPENDED', 'ENDED', 'DECLINED'] as const
export type RelationshipStatus = (typeof statuses)[number]

export const actions = ['invite', 'accept', 'decline', 'suspend', 'resume', 'end', 'rate', 'establish'] as const
export type RelationshipAction = (typeof actions)[number]

/** How the acting company stands to the relationship. */
export type Party = 'anyone' | 'inviter' | 'invitee' | 'suspender' | 'buyer'

interface Rule {
  readonly by: Party
  /** Absent: the status stays. */
  readonly to?: RelationshipStatus
}

const invite: Rule = { by: 'anyone', to: 'INVITED' }
/** An existing relationship taken over from elsewhere (an import), on both sides' word. */
const establish: Rule = { by: 'anyone', to: 'ACTIVE' }
const end: Rule = { by: 'anyone', to: 'ENDED' }
const rate: Rule = { by: 'buyer' }

/** `NONE`: there is no relationship yet. What is not here is not allowed. */
export const rules: Readonly<Record<RelationshipStatus | 'NONE', Readonly<Partial<Record<RelationshipAction, Rule>>>>> =
  {
    NONE: { invite, establish },
    INVITED: {
      accept: { by: 'invitee', to: 'ACTIVE' },
      decline: { by: 'invitee', to: 'DECLINED' },
      // The inviter takes it back; the invitee has `decline`.
      end: { by: 'inviter', to: 'ENDED' },
    },
    ACTIVE: { suspend: { by: 'anyone', to: 'SUSPENDED' }, end, rate },
    // Only who suspended may resume: else a suspension would protect nobody.
    SUSPENDED: { resume: { by: 'suspender', to: 'ACTIVE' }, end, rate },
    // Over, but not for ever.
    ENDED: { invite, establish },
    DECLINED: { invite, establish },
  }

/** One side's action as both sides' ledgers tell it. */
export interface PlacedAction {
  readonly action: RelationshipAction
  readonly actor: string
  /** Higher than every clock the actor had seen in this relationship; with `actor`, its place among all actions. */
  readonly clock: number
  /** When the actor says it was. */
  readonly at: string
  /** JSON text; only with `invite` and `establish`. */
  readonly terms: string | null
  /** −10 to 10; with `rate`, and where known with `invite` and `establish`. */
  readonly rating: number | null
}

export interface RelationshipState {
  readonly status: RelationshipStatus
  readonly invitedBy: string
  readonly suspendedBy: string | null
  readonly terms: string | null
  readonly rating: number | null
  readonly invitedAt: string
  readonly activeAt: string | null
  readonly endedAt: string | null
  readonly updatedAt: string
}

export interface Parties {
  readonly buyer: string
  readonly seller: string
}

/** Whether the table lets `actor` do `action` in this state. */
export function allows(
  parties: Parties,
  state: RelationshipState | null,
  action: RelationshipAction,
  actor: string,
): boolean {
  if (actor !== parties.buyer && actor !== parties.seller) return false
  const rule = rules[state?.status ?? 'NONE'][action]
  return rule !== undefined && isParty[rule.by](actor, parties, state)
}

const isParty: Record<Party, (actor: string, parties: Parties, state: RelationshipState | null) => boolean> = {
  anyone: () => true,
  inviter: (actor, _, state) => actor === state?.invitedBy,
  invitee: (actor, _, state) => actor !== state?.invitedBy,
  suspender: (actor, _, state) => actor === state?.suspendedBy,
  buyer: (actor, { buyer }) => actor === buyer,
}

/** The state after one action, or the same state where the table does not allow it. */
export function applyAction(
  parties: Parties,
  state: RelationshipState | null,
  placed: PlacedAction,
): RelationshipState | null {
  const { action, actor, at, terms, rating } = placed
  if (!allows(parties, state, action, actor)) return state
  const to = rules[state?.status ?? 'NONE'][action]?.to
  if (state === null || action === 'invite' || action === 'establish') {
    return {
      status: to ?? 'INVITED',
      invitedBy: actor,
      suspendedBy: null,
      terms,
      // Only the buyer's word counts, and it stays: else the seller could rate itself, or invite anew to be rid of it.
      rating: (actor === parties.buyer ? rating : null) ?? state?.rating ?? null,
      invitedAt: at,
      activeAt: to === 'ACTIVE' ? at : null,
      endedAt: null,
      updatedAt: at,
    }
  }
  const status = to ?? state.status
  return {
    ...state,
    status,
    suspendedBy: status === 'SUSPENDED' ? (action === 'suspend' ? actor : state.suspendedBy) : null,
    rating: action === 'rate' ? rating : state.rating,
    activeAt: status === 'ACTIVE' && state.activeAt === null ? at : state.activeAt,
    endedAt: status === 'ENDED' || status === 'DECLINED' ? at : null,
    updatedAt: at,
  }
}

/** The order that both sides agree on. Ids are ASCII, so comparing them as text is comparing bytes. */
export function comparePlaces(a: { clock: number; actor: string }, b: { clock: number; actor: string }): number {
  return a.clock - b.clock || (a.actor < b.actor ? -1 : a.actor > b.actor ? 1 : 0)
}

/** The state that these actions lead to, in whatever order they are given. Null: none of them was allowed. */
export function foldActions(parties: Parties, placed: readonly PlacedAction[]): RelationshipState | null {
  return placed
    .toSorted(comparePlaces)
    .reduce<RelationshipState | null>((state, action) => applyAction(parties, state, action), null)
}

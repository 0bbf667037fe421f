import type { PendingQuery, Row } from 'postgres'
import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, ShardTx } from '../store/store.ts'
import { lockCompany } from './lock-company.ts'
import { partnerOf, type Relationship, type RelationshipId, type RelationshipParts } from './relationship.ts'
import {
  applyAction,
  comparePlaces,
  foldActions,
  type PlacedAction,
  type RelationshipState,
  type RelationshipStatus,
} from './relationship-rules.ts'

export interface EdgeRow {
  company_id: CompanyId
  relationship_id: RelationshipId
  partner_id: CompanyId
  role: 'BUYER' | 'SELLER'
  kind: string
  status: RelationshipStatus
  invited_by: string
  suspended_by: string | null
  terms: string | null
  rating: number | null
  invited_at: string
  active_at: string | null
  ended_at: string | null
  updated_at: string
  clock: number
  last_clock: number
  last_actor: string
}

/** Of `relationships r`. */
export const edgeColumns = (sql: ShardSql | ShardTx): PendingQuery<Row[]> => sql`
  r.company_id, r.relationship_id, r.partner_id, r.role, r.kind, r.status, r.invited_by, r.suspended_by, r.terms,
  r.rating, r.invited_at, r.active_at, r.ended_at, r.updated_at, r.clock, r.last_clock, r.last_actor`

export function relationshipOf(row: EdgeRow): Relationship {
  const [buyer, seller] = row.role === 'BUYER' ? [row.company_id, row.partner_id] : [row.partner_id, row.company_id]
  return {
    id: row.relationship_id,
    companyId: row.company_id,
    buyer,
    seller,
    kind: row.kind,
    status: row.status,
    invitedBy: row.invited_by,
    suspendedBy: row.suspended_by,
    terms: row.terms,
    rating: row.rating,
    invitedAt: row.invited_at,
    activeAt: row.active_at,
    endedAt: row.ended_at,
    updatedAt: row.updated_at,
    clock: row.clock,
    lastClock: row.last_clock,
    lastActor: row.last_actor,
  }
}

/** One statement for any number of edges of a shard's companies; index: the primary key. */
export async function readEdges(
  sql: ShardSql | ShardTx,
  keys: readonly { companyId: CompanyId; id: RelationshipId }[],
): Promise<Relationship[]> {
  const rows = await sql<EdgeRow[]>`
    select ${edgeColumns(sql)}
    from unnest(
      ${keys.map(({ companyId }) => companyId as string)}::text[], ${keys.map(({ id }) => id as string)}::text[]
    ) as k(company_id, relationship_id)
    join relationships r on r.company_id = k.company_id and r.relationship_id = k.relationship_id`
  return rows.map(relationshipOf)
}

type Named = RelationshipParts & { id: RelationshipId }

/**
 * Adds an action to one side's edge, under `lockCompany`. False, and nothing changed, where it is there already: that
 * makes delivering twice harmless. An action that is the last in place is applied to the state; one that came late makes
 * the edge be folded anew.
 */
export async function addAction(
  tx: ShardTx,
  companyId: CompanyId,
  parts: Named,
  placed: PlacedAction,
): Promise<boolean> {
  const added = await insertActions(tx, companyId, [{ id: parts.id, placed }])
  if (added.size === 0) return false
  const [edge] = await readEdges(tx, [{ companyId, id: parts.id }])
  if (edge === undefined || comparePlaces({ clock: edge.lastClock, actor: edge.lastActor }, placed) > 0) {
    await refold(tx, companyId, parts)
    return true
  }
  const state = applyAction(parts, edge, placed)
  if (state !== null) {
    await saveEdges(tx, companyId, [{ parts, state, clock: Math.max(edge.clock, placed.clock), last: placed }])
  }
  return true
}

/**
 * The same for many relationships of one company at once, an action each that is meant to be their first. Answers with
 * those that are there now (`same`), and which of them were not before (`added`); where another action has that place, the
 * relationship keeps its own story. Few statements, and one more each for those that turn out to have a story already.
 */
export async function addFirstActions(
  tx: ShardTx,
  companyId: CompanyId,
  firsts: readonly { readonly id: RelationshipId; readonly parts: RelationshipParts; readonly placed: PlacedAction }[],
): Promise<{ added: ReadonlySet<RelationshipId>; same: ReadonlySet<RelationshipId> }> {
  await lockCompany(tx, companyId)
  const added = await insertActions(tx, companyId, firsts)
  const fresh = firsts.filter(({ id }) => added.has(id))
  const known = new Set(
    (
      await readEdges(
        tx,
        fresh.map(({ id }) => ({ companyId, id })),
      )
    ).map(({ id }) => id),
  )
  await saveEdges(
    tx,
    companyId,
    fresh.flatMap(({ id, parts, placed }) => {
      const state = known.has(id) ? null : applyAction(parts, null, placed)
      return state === null ? [] : [{ parts: { ...parts, id }, state, clock: placed.clock, last: placed }]
    }),
  )
  for (const { id, parts } of fresh) if (known.has(id)) await refold(tx, companyId, { ...parts, id })
  const others = firsts.filter(({ id }) => !added.has(id))
  const here = await tx<{ relationship_id: RelationshipId; action: string }[]>`
    select relationship_id, action from relationship_actions
    where company_id = ${companyId} and relationship_id = any(${others.map(({ id }) => id)}) and clock = 1`
  const actionOf = new Map(here.map(({ relationship_id, action }) => [relationship_id, action]))
  const same = others.filter(({ id, placed }) => actionOf.get(id) === placed.action).map(({ id }) => id)
  return { added, same: new Set([...added, ...same]) }
}

/** For each action, in order: whether this side has it, and whether the counterpart's receipt is recorded here too. */
export async function readKnownActions(
  sql: ShardSql | ShardTx,
  companyId: CompanyId,
  wanted: readonly { readonly id: RelationshipId; readonly clock: number; readonly actor: string }[],
): Promise<('there' | 'acknowledged' | null)[]> {
  const rows = await sql<{ place: number; acknowledged: boolean }[]>`
    select k.place::int, a.acknowledged
    from unnest(
      ${wanted.map(({ id }) => id as string)}::text[], ${wanted.map(({ clock }) => clock)}::bigint[],
      ${wanted.map(({ actor }) => actor)}::text[]
    ) with ordinality as k(relationship_id, clock, actor, place)
    join relationship_actions a on a.company_id = ${companyId} and a.relationship_id = k.relationship_id
      and a.clock = k.clock and a.actor = k.actor`
  const known = new Map(rows.map(({ place, acknowledged }) => [place, acknowledged]))
  return wanted.map((_, i) => {
    const acknowledged = known.get(i + 1)
    return acknowledged === undefined ? null : acknowledged ? 'acknowledged' : 'there'
  })
}

/** Computes the edge from all of its actions. */
async function refold(tx: ShardTx, companyId: CompanyId, parts: Named): Promise<void> {
  const placed = (
    await tx<PlacedAction[]>`
      select action, actor, clock, at, terms, rating from relationship_actions
      where company_id = ${companyId} and relationship_id = ${parts.id}`
  ).toSorted(comparePlaces)
  const last = placed.at(-1)
  const state = foldActions(parts, placed)
  if (state === null || last === undefined) return
  await saveEdges(tx, companyId, [{ parts, state, clock: last.clock, last }])
}

async function insertActions(
  tx: ShardTx,
  companyId: CompanyId,
  all: readonly { readonly id: RelationshipId; readonly placed: PlacedAction }[],
): Promise<ReadonlySet<RelationshipId>> {
  const column = <T>(of: (placed: PlacedAction) => T): T[] => all.map(({ placed }) => of(placed))
  const rows = await tx<{ relationship_id: RelationshipId }[]>`
    insert into relationship_actions (company_id, relationship_id, clock, actor, action, at, terms, rating)
    select ${companyId}, new.*
    from unnest(
      ${all.map(({ id }) => id as string)}::text[], ${column(({ clock }) => clock)}::bigint[],
      ${column(({ actor }) => actor)}::text[], ${column(({ action }) => action as string)}::text[],
      ${column(({ at }) => at)}::text[], ${column(({ terms }) => terms)}::text[],
      ${column(({ rating }) => rating)}::int[]
    ) as new(relationship_id, clock, actor, action, at, terms, rating)
    on conflict do nothing
    returning relationship_id`
  return new Set(rows.map(({ relationship_id }) => relationship_id))
}

interface EdgeToSave {
  readonly parts: Named
  readonly state: RelationshipState
  readonly clock: number
  readonly last: { readonly clock: number; readonly actor: string }
}

async function saveEdges(tx: ShardTx, companyId: CompanyId, edges: readonly EdgeToSave[]): Promise<void> {
  if (edges.length === 0) return
  const column = <T>(of: (edge: EdgeToSave) => T): T[] => edges.map(of)
  const state = <T>(of: (state: RelationshipState) => T): T[] => edges.map((edge) => of(edge.state))
  await tx`
    insert into relationships (
      company_id, relationship_id, partner_id, role, kind, status, invited_by, suspended_by, terms, rating, invited_at,
      active_at, ended_at, updated_at, clock, last_clock, last_actor
    )
    select ${companyId}, new.*
    from unnest(
      ${column(({ parts }) => parts.id as string)}::text[],
      ${column(({ parts }) => partnerOf(parts, companyId) as string)}::text[],
      ${column(({ parts }) => (companyId === parts.buyer ? 'BUYER' : 'SELLER'))}::text[],
      ${column(({ parts }) => parts.kind)}::text[],
      ${state(({ status }) => status as string)}::text[], ${state(({ invitedBy }) => invitedBy)}::text[],
      ${state(({ suspendedBy }) => suspendedBy)}::text[], ${state(({ terms }) => terms)}::text[],
      ${state(({ rating }) => rating)}::int[], ${state(({ invitedAt }) => invitedAt)}::text[],
      ${state(({ activeAt }) => activeAt)}::text[], ${state(({ endedAt }) => endedAt)}::text[],
      ${state(({ updatedAt }) => updatedAt)}::text[], ${column(({ clock }) => clock)}::bigint[],
      ${column(({ last }) => last.clock)}::bigint[], ${column(({ last }) => last.actor)}::text[]
    ) as new(
      relationship_id, partner_id, role, kind, status, invited_by, suspended_by, terms, rating, invited_at, active_at,
      ended_at, updated_at, clock, last_clock, last_actor
    )
    on conflict (company_id, relationship_id) do update set
      status = excluded.status, invited_by = excluded.invited_by, suspended_by = excluded.suspended_by,
      terms = excluded.terms, rating = excluded.rating, invited_at = excluded.invited_at,
      active_at = excluded.active_at, ended_at = excluded.ended_at, updated_at = excluded.updated_at,
      clock = excluded.clock, last_clock = excluded.last_clock, last_actor = excluded.last_actor`
}

import type { PendingQuery, Row } from 'postgres'
import type { CompanyId } from '../core/ids.ts'
import type { ShardSql, ShardTx } from '../store/store.ts'
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

/**
 * Adds an action to one side's edge, under `lockCompany`. False, and nothing changed, where it is there already: that
 * makes delivering twice harmless. An action that is the last in place is applied to the state; one that came late makes
 * the edge be folded anew.
 */
export async function addAction(
  tx: ShardTx,
  companyId: CompanyId,
  parts: RelationshipParts & { id: RelationshipId },
  placed: PlacedAction,
): Promise<boolean> {
  const added = await tx`
    insert into relationship_actions (company_id, relationship_id, clock, actor, action, at, terms, rating)
    values (
      ${companyId}, ${parts.id}, ${placed.clock}, ${placed.actor}, ${placed.action}, ${placed.at}, ${placed.terms},
      ${placed.rating}
    )
    on conflict do nothing
    returning 1`
  if (added.length === 0) return false
  const [edge] = await readEdges(tx, [{ companyId, id: parts.id }])
  const last = edge === undefined ? undefined : { clock: edge.lastClock, actor: edge.lastActor }
  const isLast = last !== undefined && comparePlaces(last, placed) < 0
  const state =
    edge !== undefined && isLast
      ? applyAction(parts, edge, placed)
      : foldActions(parts, await readActions(tx, companyId, parts.id))
  if (state === null) return true
  await saveEdge(tx, companyId, parts, state, {
    clock: Math.max(edge?.clock ?? 0, placed.clock),
    last: last === undefined || isLast ? placed : last,
  })
  return true
}

async function readActions(tx: ShardTx, companyId: CompanyId, id: RelationshipId): Promise<PlacedAction[]> {
  return await tx<PlacedAction[]>`
    select action, actor, clock, at, terms, rating from relationship_actions
    where company_id = ${companyId} and relationship_id = ${id}`
}

async function saveEdge(
  tx: ShardTx,
  companyId: CompanyId,
  parts: RelationshipParts & { id: RelationshipId },
  state: RelationshipState,
  { clock, last }: { clock: number; last: { clock: number; actor: string } },
): Promise<void> {
  await tx`
    insert into relationships (
      company_id, relationship_id, partner_id, role, kind, status, invited_by, suspended_by, terms, rating, invited_at,
      active_at, ended_at, updated_at, clock, last_clock, last_actor
    ) values (
      ${companyId}, ${parts.id}, ${partnerOf(parts, companyId)}, ${companyId === parts.buyer ? 'BUYER' : 'SELLER'},
      ${parts.kind}, ${state.status}, ${state.invitedBy}, ${state.suspendedBy}, ${state.terms}, ${state.rating},
      ${state.invitedAt}, ${state.activeAt}, ${state.endedAt}, ${state.updatedAt}, ${clock}, ${last.clock}, ${last.actor}
    )
    on conflict (company_id, relationship_id) do update set
      status = excluded.status, invited_by = excluded.invited_by, suspended_by = excluded.suspended_by,
      terms = excluded.terms, rating = excluded.rating, invited_at = excluded.invited_at,
      active_at = excluded.active_at, ended_at = excluded.ended_at, updated_at = excluded.updated_at,
      clock = excluded.clock, last_clock = excluded.last_clock, last_actor = excluded.last_actor`
}

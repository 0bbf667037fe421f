import { type Clock, systemClock } from '../core/clock.ts'
import { AppError, isAppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import { canonicalPayload } from '../core/json/canonical.ts'
import type { PositionToken } from '../core/position.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Store, StoreScope } from '../store/store.ts'
import type { ChangedBy } from './companies.ts'
import { lockCompany } from './lock-company.ts'
import {
  partnerOf,
  type Relationship,
  type RelationshipId,
  type RelationshipParts,
  relationshipId,
} from './relationship.ts'
import { addAction, readEdges } from './relationship-edges.ts'
import { actionRecord } from './relationship-records.ts'
import { allows, type PlacedAction, type RelationshipAction } from './relationship-rules.ts'

export interface Invitation extends RelationshipParts {
  /** JSON object. */
  readonly terms?: unknown
  /** −10 to 10; only where the buyer invites. */
  readonly rating?: number | null | undefined
}

export interface RelationshipWritten {
  readonly relationship: Relationship
  readonly position: PositionToken
}

/** What one of the two companies does. Only its own shard is written, and the other side's follows by the feed. */
export interface RelationshipCommands {
  /**
   * While the partner's shard is down it is taken on trust that the partner exists.
   * @throws AppError NOT_FOUND | INVALID_TRANSITION | BAD_USER_INPUT | PAYLOAD_TOO_LARGE | SHARD_UNAVAILABLE (of `as`)
   */
  invite(invitation: Invitation, as: CompanyId, by: ChangedBy): Promise<RelationshipWritten>
  /** @throws AppError NOT_FOUND | FORBIDDEN | INVALID_TRANSITION */
  act(
    relationship: RelationshipParts & { id: RelationshipId },
    action: Exclude<RelationshipAction, 'invite' | 'establish' | 'rate'>,
    as: CompanyId,
    by: ChangedBy,
  ): Promise<RelationshipWritten>
  /** @throws AppError NOT_FOUND | FORBIDDEN | INVALID_TRANSITION | BAD_USER_INPUT */
  rate(
    relationship: RelationshipParts & { id: RelationshipId },
    rating: number,
    as: CompanyId,
    by: ChangedBy,
  ): Promise<RelationshipWritten>
}

/** A shard that is silent must not hold up an invitation for as long as its pool waits. */
const partnerPatienceMs = 1_000
const termsLimits = { maxBytes: 16 * 1024, maxDepth: 16 }

export function createRelationshipCommands(deps: {
  store: Store
  ledger: Ledger
  clock?: Clock
}): RelationshipCommands {
  const { store, ledger, clock = systemClock } = deps

  /**
   * The partner's shard is asked, and not relied on: while it is down the invitation is taken all the same, since only the
   * inviter's shard is written. Should there be no such company, the invitation ends when it is delivered.
   */
  async function requirePartner(partner: CompanyId, scope: StoreScope = {}): Promise<void> {
    const { deadlineMs = Number.POSITIVE_INFINITY, signal } = scope
    const asked = { ...scope, deadlineMs: Math.min(deadlineMs, Date.now() + partnerPatienceMs) }
    let found: readonly unknown[]
    try {
      found = await store.readOne(partner, (sql) => sql`select 1 from companies where company_id = ${partner}`, asked)
    } catch (error) {
      if (!isAppError(error) || !error.retryable || signal?.aborted === true) throw error
      return
    }
    if (found.length === 0) throw new AppError('NOT_FOUND', `There is no company ${partner}.`)
  }

  async function append(
    parts: RelationshipParts & { id: RelationshipId },
    said: Pick<PlacedAction, 'action' | 'terms' | 'rating'>,
    as: CompanyId,
    { actor, scope }: ChangedBy,
  ): Promise<RelationshipWritten> {
    if (as !== parts.buyer && as !== parts.seller) {
      throw new AppError('FORBIDDEN', 'Only its two companies can act on a relationship.')
    }
    const { value, position } = await ledger.change(
      as,
      async (tx) => {
        await lockCompany(tx, as)
        const [edge] = await readEdges(tx, [{ companyId: as, id: parts.id }])
        if (edge === undefined && said.action !== 'invite') {
          throw new AppError('NOT_FOUND', 'There is no such relationship.')
        }
        if (!allows(parts, edge ?? null, said.action, as)) {
          throw new AppError('INVALID_TRANSITION', `This company cannot ${said.action} in status ${edge?.status}.`, {
            details: { status: edge?.status ?? null, action: said.action },
          })
        }
        const at = new Date(clock.now()).toISOString()
        const placed: PlacedAction = { ...said, actor: as, clock: (edge?.clock ?? 0) + 1, at }
        await addAction(tx, as, parts, placed)
        const [written] = await readEdges(tx, [{ companyId: as, id: parts.id }])
        if (written === undefined) throw new Error('an allowed action left no edge')
        return { value: written, records: [actionRecord(parts.id, placed, actor)] }
      },
      scope,
    )
    return { relationship: value, position }
  }

  return {
    async invite({ buyer, seller, kind, terms, rating }, as, by) {
      const id = relationshipId({ buyer, seller, kind })
      if (rating != null && as !== buyer) {
        throw new AppError('BAD_USER_INPUT', 'rating: the buyer’s word on the seller, not the seller’s own', {
          details: { field: 'rating' },
        })
      }
      const text = terms == null ? null : canonicalPayload(terms, termsLimits)
      await requirePartner(partnerOf({ buyer, seller, kind }, as), by.scope)
      const said = { action: 'invite', terms: text, rating: rating == null ? null : checkedRating(rating) } as const
      return append({ id, buyer, seller, kind }, said, as, by)
    },
    act: (parts, action, as, by) => append(parts, { action, terms: null, rating: null }, as, by),
    rate: async (parts, rating, as, by) =>
      append(parts, { action: 'rate', terms: null, rating: checkedRating(rating) }, as, by),
  }
}

/** @throws AppError BAD_USER_INPUT */
export function checkedRating(rating: number): number {
  if (Number.isInteger(rating) && rating >= -10 && rating <= 10) return rating
  throw new AppError('BAD_USER_INPUT', 'rating: a whole number from -10 to 10', { details: { field: 'rating' } })
}

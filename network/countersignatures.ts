import type { CompanyId } from '../core/ids.ts'
import { originOf } from '../ledger/entry.ts'
import { partnerOf, type RelationshipParts } from './relationship.ts'
import { maxRecords, type StreamRecord } from './read-relationship-streams.ts'
import { readTold, type Told } from './relationship-records.ts'
import { comparePlaces, type RelationshipAction } from './relationship-rules.ts'

/** One action, and what the other side's ledger holds of it. */
export interface Countersignature {
  readonly action: RelationshipAction
  readonly by: CompanyId
  readonly position: number
  readonly leaf: string
  readonly received: { readonly by: CompanyId; readonly position: number; readonly leaf: string } | null
  /** Both records have the leaves they claim, the counterpart's names this one, and the actor's ledger names that one. */
  readonly verified: boolean
}

interface Place {
  readonly companyId: CompanyId
  readonly position: number
  readonly leaf: string
  readonly sound: boolean
  readonly told: Told
}

/**
 * Holds the two ledgers' records of one relationship against each other. Each leaf was computed again from what is stored;
 * if both ledgers, each chained and signed for itself, name the other's, neither company can later tell another story.
 */
export function countersignaturesOf(
  deployment: string,
  parts: RelationshipParts,
  streams: ReadonlyMap<CompanyId, readonly StreamRecord[]>,
): Countersignature[] {
  const placesOf = (companyId: CompanyId): Place[] =>
    (streams.get(companyId) ?? []).flatMap(({ position, kind, data, leaf, sound }) => {
      const told = readTold(companyId, kind, data)
      return told === null ? [] : [{ companyId, position, leaf: leaf.toString('base64'), sound, told }]
    })
  const places = new Map([parts.buyer, parts.seller].map((id) => [id, placesOf(id)]))
  const answerTo = (place: Place, kind: 'received' | 'acknowledged', in_: CompanyId): Place | undefined =>
    places
      .get(in_)
      ?.find(
        ({ told }) =>
          told.kind === kind &&
          told.of.origin === originOf(deployment, place.companyId) &&
          told.of.position === place.position,
      )
  const names = (answer: Place | undefined, place: Place): boolean =>
    answer !== undefined && answer.sound && answer.told.kind !== 'action' && answer.told.of.leaf === place.leaf

  const all = [...places.values()]
    .flat()
    .flatMap((place) => (place.told.kind === 'action' ? [{ place, placed: place.told.placed }] : []))
    .sort((a, b) => comparePlaces(a.placed, b.placed))
    .map(({ place, placed }): Countersignature & { answered: boolean } => {
      const partner = partnerOf(parts, place.companyId)
      const received = answerTo(place, 'received', partner)
      const acknowledged = received === undefined ? undefined : answerTo(received, 'acknowledged', place.companyId)
      return {
        action: placed.action,
        by: place.companyId,
        position: place.position,
        leaf: place.leaf,
        received: received === undefined ? null : { by: partner, position: received.position, leaf: received.leaf },
        verified: received !== undefined && place.sound && names(received, place) && names(acknowledged, received),
        answered: acknowledged !== undefined,
      }
    })
  // A story longer than what is looked at: the answers to its first actions are out of sight, not missing.
  const isCut = streams.values().some((records) => records.length >= maxRecords)
  const begin = isCut ? all.findIndex(({ answered }) => answered) : 0
  return all.slice(Math.max(begin, 0))
}

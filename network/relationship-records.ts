import { z } from 'zod'
import type { CompanyId } from '../core/ids.ts'
import type { JsonObject } from '../core/json/canonical.ts'
import { parseJsonText } from '../core/json/parse-names.ts'
import type { NewRecord } from '../ledger/ledger.ts'
import { ownSource } from '../ledger/own-records.ts'
import { parseRelationshipId, partnerOf, type RelationshipId, type RelationshipParts } from './relationship.ts'
import { actions, type PlacedAction, type RelationshipAction } from './relationship-rules.ts'

/**
 * What the ledgers hold of relationships. An action is a record of its actor's ledger. Its counterpart's ledger answers
 * with `relationship.received`, which names that record and its leaf; the actor's answers with
 * `relationship.acknowledged`, which names the answer and its leaf and is delivered no further. So each ledger holds the
 * other's leaf: both have signed what was done.
 */
const kindOf: Readonly<Record<RelationshipAction, string>> = {
  invite: 'relationship.invited',
  accept: 'relationship.accepted',
  decline: 'relationship.declined',
  suspend: 'relationship.suspended',
  resume: 'relationship.resumed',
  end: 'relationship.ended',
  rate: 'relationship.rated',
  establish: 'relationship.established',
}
const receivedKind = 'relationship.received'
export const acknowledgedKind = 'relationship.acknowledged'
/** Kinds that concern the counterpart. */
export const deliveredKinds: ReadonlySet<string> = new Set([...Object.values(kindOf), receivedKind])

export const streamOf = (id: RelationshipId): string => `relationship/${id}`

/** Where a record stands: `<deployment>/<companyId>`, its position and its leaf in base64. */
export interface RecordReference {
  readonly origin: string
  readonly position: number
  readonly leaf: string
}

const said = {
  relationship: z.string(),
  action: z.enum(actions),
  clock: z.int(),
  at: z.string(),
  terms: z.record(z.string(), z.unknown()).optional(),
  rating: z.int().optional(),
}
const reference = { origin: z.string(), position: z.int(), leaf: z.string() }
const actionData = z.object(said)
const receivedData = z.object({ ...said, ...reference })
const acknowledgedData = z.object({ relationship: z.string(), clock: z.int(), ...reference })

export function actionRecord(id: RelationshipId, placed: PlacedAction, actor?: string): NewRecord {
  return record(kindOf[placed.action], id, dataOf(id, placed), actor)
}

export function receivedRecord(id: RelationshipId, placed: PlacedAction, at: RecordReference): NewRecord {
  return record(receivedKind, id, { ...dataOf(id, placed), ...at })
}

export function acknowledgedRecord(id: RelationshipId, clock: number, at: RecordReference): NewRecord {
  return record(acknowledgedKind, id, { relationship: id, clock, ...at })
}

function dataOf(id: RelationshipId, { action, clock, at, terms, rating }: PlacedAction): JsonObject {
  return {
    relationship: id,
    action,
    clock,
    at,
    ...(terms === null ? {} : { terms: parseJsonText(terms) as JsonObject }),
    ...(rating === null ? {} : { rating }),
  }
}

function record(kind: string, id: RelationshipId, data: JsonObject, actor?: string): NewRecord {
  return {
    kind,
    source: ownSource,
    stream: streamOf(id),
    data,
    ...(actor === undefined ? {} : { actor }),
  }
}

/** What a record of a relationship says, read from its data. */
export type Told =
  | { kind: 'action'; parts: RelationshipParts & { id: RelationshipId }; placed: PlacedAction }
  | { kind: 'received'; parts: RelationshipParts & { id: RelationshipId }; placed: PlacedAction; of: RecordReference }
  | { kind: 'acknowledged'; parts: RelationshipParts & { id: RelationshipId }; clock: number; of: RecordReference }

/** Null: not a record of a relationship of this company, or erased. */
export function readTold(companyId: CompanyId, recordKind: string, data: string | null): Told | null {
  if (data === null) return null
  const json: unknown = parseJsonText(data)
  if (recordKind === acknowledgedKind) {
    const { relationship, clock, origin, position, leaf } = acknowledgedData.parse(json)
    return { kind: 'acknowledged', parts: parseRelationshipId(relationship), clock, of: { origin, position, leaf } }
  }
  if (recordKind === receivedKind) {
    const { origin, position, leaf, ...rest } = receivedData.parse(json)
    const parts = parseRelationshipId(rest.relationship)
    return {
      kind: 'received',
      parts,
      placed: placedOf(rest, partnerOf(parts, companyId)),
      of: { origin, position, leaf },
    }
  }
  if (!deliveredKinds.has(recordKind)) return null
  const told = actionData.parse(json)
  return { kind: 'action', parts: parseRelationshipId(told.relationship), placed: placedOf(told, companyId) }
}

function placedOf({ action, clock, at, terms, rating }: z.infer<typeof actionData>, actor: CompanyId): PlacedAction {
  // Terms were canonical when they were recorded, and so they are still in order.
  return { action, actor, clock, at, terms: terms === undefined ? null : JSON.stringify(terms), rating: rating ?? null }
}

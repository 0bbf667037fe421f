import { AppError } from '../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../core/ids.ts'
import type { Parties, RelationshipState } from './relationship-rules.ts'

declare const brand: unique symbol
/** `<buyer>~<seller>~<kind>`: names both companies, so it routes itself to either side. */
export type RelationshipId = string & { readonly [brand]: 'RelationshipId' }

export interface RelationshipParts extends Parties {
  readonly buyer: CompanyId
  readonly seller: CompanyId
  readonly kind: string
}

/** A relationship as one of its two companies keeps it. */
export interface Relationship extends RelationshipState, RelationshipParts {
  readonly id: RelationshipId
  /** Whose edge this is. */
  readonly companyId: CompanyId
  readonly clock: number
  readonly lastClock: number
  readonly lastActor: string
}

const kindPattern = /^[a-z][a-z0-9-]{0,31}$/

/** @throws AppError INVALID_ID | BAD_USER_INPUT */
export function relationshipId({ buyer, seller, kind }: RelationshipParts): RelationshipId {
  if (buyer === seller) throw new AppError('BAD_USER_INPUT', 'A relationship is between two companies.')
  if (!kindPattern.test(kind)) {
    throw new AppError('BAD_USER_INPUT', 'kind: is 1 to 32 characters of a-z, 0-9 and "-"')
  }
  return `${buyer}~${seller}~${kind}` as RelationshipId
}

/** @throws AppError INVALID_ID */
export function parseRelationshipId(value: string): RelationshipParts & { id: RelationshipId } {
  const [buyer = '', seller = '', kind = '', ...rest] = value.split('~')
  if (rest.length > 0 || !kindPattern.test(kind) || buyer === seller) {
    throw new AppError(
      'INVALID_ID',
      'A relationship id is "<buyer>~<seller>~<kind>", for example "acme~globex~supply".',
    )
  }
  return { buyer: parseCompanyId(buyer), seller: parseCompanyId(seller), kind, id: value as RelationshipId }
}

export function partnerOf({ buyer, seller }: RelationshipParts, companyId: CompanyId): CompanyId {
  return companyId === buyer ? seller : buyer
}

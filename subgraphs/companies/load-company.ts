import type { GraphQLResolveInfo } from 'graphql'
import { can } from '../../access/rights.ts'
import { isAppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import { argumentsAhead } from '../../loaders/look-ahead.ts'
import type { Company } from '../../network/company.ts'
import { parseListing, type RelationshipListing } from '../../network/read-relationships.ts'
import type { SubgraphContext } from '../context.ts'
import { companyById } from './loaders.ts'
import { relationshipPage } from './relationship-loaders.ts'

/**
 * A company by its id. Where its relationships are asked for too, their page comes in the same statement, by the loader
 * from which the field `relationships` then takes it: both lie on the company's shard. Of several pages it is the first.
 */
export async function loadCompany(
  id: CompanyId,
  { principal, loaders, lists }: SubgraphContext,
  info: GraphQLResolveInfo,
): Promise<Company | null> {
  const companies = loaders.get(companyById)
  const listing = can(principal, 'relationship.read', id) ? listingAhead(info) : null
  if (listing === null || !lists.readAhead(listing.first)) return companies.load(id)
  try {
    const { company } = await loaders.member(relationshipPage, listing).load(id)
    companies.prime(id, company)
    return company
  } catch (error) {
    // A shard that is away has no answer to a smaller question either; what is wrong with the page is the page's alone.
    if (isAppError(error) && notNow.has(error.code)) throw error
    return companies.load(id)
  }
}

const notNow: ReadonlySet<string> = new Set(['SHARD_UNAVAILABLE', 'OVERLOADED', 'STALE_EPOCH', 'CANCELLED'])

/** By field nodes: the same for all objects of a list, and new with each operation. */
const known = new WeakMap<GraphQLResolveInfo['fieldNodes'], RelationshipListing | null>()

function listingAhead(info: GraphQLResolveInfo): RelationshipListing | null {
  let listing = known.get(info.fieldNodes)
  if (listing === undefined) {
    listing = firstListing(argumentsAhead(info, 'Company', 'relationships'))
    known.set(info.fieldNodes, listing)
  }
  return listing
}

function firstListing(given: readonly object[]): RelationshipListing | null {
  for (const args of given) {
    try {
      return parseListing(args)
    } catch (error) {
      // For the field itself to say.
      if (!isAppError(error)) throw error
    }
  }
  return null
}

import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId, recordId } from '../../core/ids.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import { countersignaturesOf } from '../../network/countersignatures.ts'
import { pageSize } from '../../core/page-size.ts'
import { parseNeighbourhoodSize } from '../../network/neighbourhood.ts'
import { parseListing } from '../../network/read-relationships.ts'
import {
  parseRelationshipId,
  partnerOf,
  type Relationship,
  type RelationshipParts,
} from '../../network/relationship.ts'
import type { RelationshipAction } from '../../network/relationship-rules.ts'
import type { RelationshipCommands, RelationshipWritten } from '../../network/relationships.ts'
import { parsePublicUserId, publicUserId, type UserCommands } from '../../network/users.ts'
import type { Store } from '../../store/store.ts'
import { connectionOf } from '../connection.ts'
import type { SubgraphContext } from '../context.ts'
import { loadCompany } from './load-company.ts'
import type { CompaniesResolvers } from './objects.ts'
import {
  edgeOf,
  neighbourhood,
  partnersOf,
  relationshipPage,
  relationshipRecords,
  relationshipStats,
  usersOf,
} from './relationship-loaders.ts'

type Part<T extends keyof CompaniesResolvers, K extends keyof CompaniesResolvers[T]> = Pick<CompaniesResolvers[T], K>

/** Everything about how companies stand to each other, and about who acts for them. */
export function createRelationshipResolvers(deps: {
  store: Store
  commands: RelationshipCommands
  users: UserCommands
}) {
  const { store, commands, users } = deps

  const act =
    (action: Exclude<RelationshipAction, 'invite' | 'establish' | 'rate'>) =>
    async (
      _: unknown,
      { input }: { input: { id: string; as?: string | null | undefined } },
      context: SubgraphContext,
    ) => {
      const parts = parseRelationshipId(input.id)
      return written(
        await commands.act(parts, action, actingCompany(input.as, parts, context), changedBy(context)),
        context,
      )
    }

  return {
    query: {
      relationship: (_, { id }, context) => loadRelationship(id, context),
    } satisfies Part<'Query', 'relationship'>,

    mutation: {
      inviteRelationship: async (_, { input }, context) => {
        const as = actingCompany(input.as, null, context)
        const partner = parseCompanyId(input.partnerId)
        const [buyer, seller] = input.role === 'BUYER' ? [as, partner] : [partner, as]
        const { kind, terms, rating } = input
        return written(await commands.invite({ buyer, seller, kind, terms, rating }, as, changedBy(context)), context)
      },
      acceptRelationship: act('accept'),
      declineRelationship: act('decline'),
      suspendRelationship: act('suspend'),
      resumeRelationship: act('resume'),
      endRelationship: act('end'),
      rateRelationship: async (_, { input }, context) => {
        const parts = parseRelationshipId(input.id)
        const as = actingCompany(input.as, parts, context)
        return written(await commands.rate(parts, input.rating, as, changedBy(context)), context)
      },
      putUser: async (_, { input: { companyId, userId, name, email, roles } }, context) => {
        const id = parseCompanyId(companyId)
        authorize(context.principal, 'user.write', id)
        const { user, position } = await users.put(
          id,
          { id: userId, name, email: email ?? null, roles },
          changedBy(context),
        )
        return { user, position: context.wrote(position) }
      },
      removeUser: async (_, { companyId, userId }, context) => {
        const id = parseCompanyId(companyId)
        authorize(context.principal, 'user.write', id)
        const own = userId.startsWith(`${id}:`) ? userId.slice(id.length + 1) : userId
        return context.wrote(await users.remove(id, own, changedBy(context)))
      },
    } satisfies Part<
      'Mutation',
      | 'inviteRelationship'
      | 'acceptRelationship'
      | 'declineRelationship'
      | 'suspendRelationship'
      | 'resumeRelationship'
      | 'endRelationship'
      | 'rateRelationship'
      | 'putUser'
      | 'removeUser'
    >,

    company: {
      relationships: async ({ id }, args, { principal, loaders, lists }) => {
        authorize(principal, 'relationship.read', id)
        const listing = parseListing(args)
        lists.reserve(listing.first)
        const { page } = await loaders.member(relationshipPage, listing).load(id)
        for (const { node } of page.edges) loaders.get(edgeOf).prime(node, node)
        return connectionOf(page, args.after != null)
      },
      relationshipStats: ({ id }, _args, { principal, loaders }) => {
        authorize(principal, 'network.read')
        return loaders.get(relationshipStats).load(id)
      },
      mutualPartners: async ({ id }, args, { principal, loaders, lists }) => {
        authorize(principal, 'network.read')
        const first = pageSize(args.first)
        const other = parseCompanyId(args.with)
        lists.reserve(first)
        const partners = loaders.get(partnersOf)
        const [own, theirs] = await Promise.all([partners.load(id), partners.load(other)])
        const mutual = [...own.intersection(theirs)].sort()
        return { total: mutual.length, ids: mutual.slice(0, first) }
      },
      network: async ({ id }, args, { principal, request, loaders, lists }) => {
        authorize(principal, 'network.read')
        const size = parseNeighbourhoodSize(args)
        lists.reserve(size.limit)
        const around = await loaders.member(neighbourhood, size).load(id)
        for (const shard of around.missing) request.missingShards.add(shard)
        return around
      },
      users: async ({ id }, _args, { principal, loaders, lists }) => {
        authorize(principal, 'user.read', id)
        const users = await loaders.get(usersOf).load(id)
        lists.reserve(users.length)
        return users
      },
    } satisfies Partial<CompaniesResolvers['Company']>,

    types: {
      Relationship: {
        __resolveReference: async ({ id }, context) => loadRelationship(String(id), context),
        buyerId: ({ buyer }) => buyer,
        sellerId: ({ seller }) => seller,
        buyer: ({ buyer }, _, context, info) => loadCompany(buyer, context, info),
        seller: ({ seller }, _, context, info) => loadCompany(seller, context, info),
        invitedBy: ({ invitedBy }, _, context, info) => loadCompany(parseCompanyId(invitedBy), context, info),
        suspendedBy: ({ suspendedBy }, _, context, info) =>
          suspendedBy === null ? null : loadCompany(parseCompanyId(suspendedBy), context, info),
        terms: ({ terms }) => (terms === null ? null : parseJsonText(terms)),
        countersignatures: async ({ id, buyer, seller, kind }, _, { loaders }) => {
          const records = loaders.get(relationshipRecords)
          const [atBuyer, atSeller] = await Promise.all([
            records.load({ companyId: buyer, id }),
            records.load({ companyId: seller, id }),
          ])
          const streams = new Map([
            [buyer, atBuyer],
            [seller, atSeller],
          ])
          return countersignaturesOf(store.deployment, { buyer, seller, kind }, streams)
        },
      },
      Countersignature: {
        byId: ({ by }) => by,
        recordId: ({ by, position }) => recordId(by, position),
        receivedId: ({ received }) => (received === null ? null : recordId(received.by, received.position)),
        receivedLeaf: ({ received }) => received?.leaf ?? null,
      },
      MutualPartners: {
        companies: ({ ids }, _, context, info) => ids.map((id) => loadCompany(id, context, info)) as never,
      },
      NetworkNode: {
        companyId: ({ id }) => id,
        company: ({ id }, _, context, info) => loadCompany(id, context, info),
      },
      NetworkEdge: {
        relationshipId: ({ id }) => id,
        buyerId: ({ buyer }) => buyer,
        sellerId: ({ seller }) => seller,
      },
      User: {
        __resolveReference: async (reference, { principal, loaders }) => {
          const { companyId, id } = parsePublicUserId(String(reference['id']))
          authorize(principal, 'user.read', companyId)
          return (await loaders.get(usersOf).load(companyId)).find((user) => user.id === id) ?? null
        },
        id: publicUserId,
        company: async ({ companyId }, _, context, info) => {
          const company = await loadCompany(companyId, context, info)
          if (company === null) throw new AppError('NOT_FOUND', `There is no company ${companyId}.`)
          return company
        },
      },
    } satisfies Partial<CompaniesResolvers>,
  }
}

/** The caller's own side; for administrators the buyer's and, where there is none or it is down, the seller's. */
async function loadRelationship(id: string, { principal, loaders }: SubgraphContext): Promise<Relationship | null> {
  const parts = parseRelationshipId(id)
  if (principal.kind === 'company') {
    const own = principal.companyId === parts.seller ? parts.seller : parts.buyer
    authorize(principal, 'relationship.read', own)
    return loaders.get(edgeOf).load({ companyId: own, id: parts.id })
  }
  authorize(principal, 'relationship.read')
  const [atBuyer, atSeller] = await Promise.allSettled(
    [parts.buyer, parts.seller].map((companyId) => loaders.get(edgeOf).load({ companyId, id: parts.id })),
  )
  for (const side of [atBuyer, atSeller]) {
    if (side?.status === 'fulfilled' && side.value !== null) return side.value
  }
  if (atBuyer?.status === 'rejected') throw atBuyer.reason
  return null
}

/** @throws AppError FORBIDDEN | BAD_USER_INPUT */
function actingCompany(
  as: string | null | undefined,
  parts: RelationshipParts | null,
  { principal }: SubgraphContext,
): CompanyId {
  const own = principal.kind === 'company' ? principal.companyId : undefined
  if (as == null && own === undefined) {
    authorize(principal, 'relationship.write')
    throw new AppError('BAD_USER_INPUT', 'as: says which company acts', { details: { field: 'as' } })
  }
  const acting = as == null ? own : parseCompanyId(as)
  authorize(principal, 'relationship.write', acting)
  if (acting === undefined || (parts !== null && partnerOf(parts, acting) === acting)) {
    throw new AppError('FORBIDDEN', 'Only its two companies can act on a relationship.')
  }
  return acting
}

function written({ relationship, position }: RelationshipWritten, context: SubgraphContext) {
  const token = context.wrote(position)
  context.loaders.get(edgeOf).prime(relationship, relationship)
  return { relationship, position: token }
}

const changedBy = ({ actor, scope }: SubgraphContext) => ({ actor, scope })

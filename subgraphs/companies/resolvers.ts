import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { parseCompanyId } from '../../core/ids.ts'
import type { Follower } from '../../events/follow.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'
import type { CompanyCommands, Written } from '../../network/companies.ts'
import { pageSize } from '../../core/page-size.ts'
import { listCompanies } from '../../network/list-companies.ts'
import { listSectors, putSectors } from '../../network/sectors.ts'
import type { RelationshipCommands } from '../../network/relationships.ts'
import type { UserCommands } from '../../network/users.ts'
import type { Store } from '../../store/store.ts'
import { connectionOf } from '../connection.ts'
import type { SubgraphContext } from '../context.ts'
import { createChangeResolvers } from './change-resolvers.ts'
import { loadCompany } from './load-company.ts'
import { companyByIdentifier, companyById, sectorByCode } from './loaders.ts'
import type { CompaniesResolvers } from './objects.ts'
import { createRelationshipResolvers } from './relationship-resolvers.ts'

const maxIdentifierLength = 128

export function createCompaniesResolvers(deps: {
  store: Store
  commands: CompanyCommands
  relationships: RelationshipCommands
  users: UserCommands
  follower: Follower<LedgerRecord>
}): CompaniesResolvers {
  const { store, commands, relationships, users, follower } = deps
  const between = createRelationshipResolvers({ store, commands: relationships, users })
  const changes = createChangeResolvers({
    follower,
    loadRelationship: between.types.Relationship.__resolveReference,
  })
  return {
    Query: {
      company: (_, { id }, context, info) => {
        authorize(context.principal, 'company.read')
        return loadCompany(parseCompanyId(id), context, info)
      },
      companyByIdentifier: (_, { scheme, value }, { principal, loaders }) => {
        authorize(principal, 'company.read')
        if (scheme.length > maxIdentifierLength || value.length > maxIdentifierLength) return null
        return loaders.get(companyByIdentifier).load({ scheme, value })
      },
      companies: async (_, { first: given, ...rest }, { principal, request, scope, loaders, lists }) => {
        authorize(principal, 'company.read')
        const first = pageSize(given)
        lists.reserve(first)
        const page = await listCompanies(store, { ...rest, first }, scope)
        for (const shard of page.missing) request.missingShards.add(shard)
        for (const { node } of page.edges) loaders.get(companyById).prime(node.id, node)
        return connectionOf(page, rest.after != null)
      },
      sectors: (_, _args, { principal, scope }) => {
        authorize(principal, 'company.read')
        return listSectors(store, scope)
      },
      ...between.query,
    },
    Mutation: {
      createCompany: async (_, { input }, context) => {
        authorize(context.principal, 'company.create')
        return payloadOf(await commands.create(input, changedBy(context)), context)
      },
      updateCompany: async (_, { input: { id, name, ...change } }, context) => {
        const companyId = parseCompanyId(id)
        authorize(context.principal, 'company.update', companyId)
        if (name === null)
          throw new AppError('BAD_USER_INPUT', 'name: cannot be cleared', { details: { field: 'name' } })
        const given = name === undefined ? change : { ...change, name }
        return payloadOf(await commands.update(companyId, given, changedBy(context)), context)
      },
      putSectors: async (_, { sectors }, { principal, scope, loaders }) => {
        authorize(principal, 'company.create')
        const written = await putSectors(store, sectors, scope)
        loaders.clear()
        return written
      },
      ...between.mutation,
    },
    Company: {
      __resolveReference: async ({ id }, context, info) => {
        authorize(context.principal, 'company.read')
        return loadCompany(parseCompanyId(String(id)), context, info)
      },
      ...between.company,
    },
    ...between.types,
    ...changes,
    Sector: {
      __resolveReference: async ({ code }, { principal, loaders }) => {
        authorize(principal, 'company.read')
        return loaders.get(sectorByCode).load(String(code))
      },
    },
  }
}

function payloadOf({ company, position }: Written, context: SubgraphContext) {
  const token = context.wrote(position)
  context.loaders.get(companyById).prime(company.id, company)
  return { company, position: token }
}

const changedBy = ({ actor, scope }: SubgraphContext) => ({ actor, scope })

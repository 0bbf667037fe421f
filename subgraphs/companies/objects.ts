import type { CompanyId } from '../../core/ids.ts'
import type { Company, Identifier } from '../../network/company.ts'
import type { Countersignature } from '../../network/countersignatures.ts'
import type { Page } from '../../network/list-companies.ts'
import type { Neighbourhood } from '../../network/neighbourhood.ts'
import type { RelationshipStats } from '../../network/read-relationships.ts'
import type { Relationship, RelationshipId } from '../../network/relationship.ts'
import type { Sector } from '../../network/sectors.ts'
import type { User } from '../../network/users.ts'
import type { Objects, Resolvers } from '../../schema/generated/companies.ts'
import type { Connection, PageInfo } from '../connection.ts'
import type { SubgraphContext } from '../context.ts'

/** The values that stand for this subgraph's object types. */
export interface CompanyObjects extends Objects {
  Company: Company
  CompanyChanged: { id: CompanyId; cursor: string; kind: string }
  CompanyConnection: Connection<Company>
  CompanyEdge: Page<Company>['edges'][number]
  CompanyPayload: { company: Company; position: string }
  Countersignature: Countersignature
  Identifier: Identifier
  MutualPartners: { total: number; ids: readonly CompanyId[] }
  Network: Neighbourhood
  NetworkEdge: Neighbourhood['edges'][number]
  NetworkNode: Neighbourhood['nodes'][number]
  PageInfo: PageInfo
  Relationship: Relationship
  RelationshipChanged: { id: RelationshipId; cursor: string; kind: string }
  RelationshipConnection: Connection<Relationship>
  RelationshipCount: RelationshipStats['counts'][number]
  RelationshipEdge: Page<Relationship>['edges'][number]
  RelationshipPayload: { relationship: Relationship; position: string }
  RelationshipStats: RelationshipStats
  Sector: Sector
  User: User
  UserPayload: { user: User; position: string }
}

export type CompaniesResolvers = Resolvers<SubgraphContext, CompanyObjects>

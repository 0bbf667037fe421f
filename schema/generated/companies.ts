// Written by `npm run schema`; not edited by hand.

import type { GraphQLResolveInfo } from 'graphql'

type Resolver<Parent, Args, Context, Result> = (
  parent: Parent,
  args: Args,
  context: Context,
  info: GraphQLResolveInfo,
) => Result | Promise<Result>

/** Optional is what need not be given; all else is required. */
type Needed<All> = { [K in keyof All as object extends All[K] ? never : K]: All[K] } & {
  [K in keyof All as object extends All[K] ? K : never]?: All[K]
}

/** Of the fields, those that the object holds under their names, as the schema has them, need no resolver. */
type Fields<Parent, Held, All> = {
  [K in keyof All as K extends keyof Held ? (Parent extends Readonly<Pick<Held, K>> ? never : K) : K]: All[K]
} & { [K in keyof All as K extends keyof Held ? (Parent extends Readonly<Pick<Held, K>> ? K : never) : never]?: All[K] }

export type CompanyOrder = 'RELEVANCE' | 'NAME' | 'NEWEST'

export interface CreateCompanyInput {
  id?: string | null | undefined
  region?: string | null | undefined
  name: string
  identifiers?: readonly IdentifierInput[] | null | undefined
  sector?: string | null | undefined
  subIndustry?: string | null | undefined
  seat?: string | null | undefined
  founded?: string | null | undefined
}

export interface IdentifierInput {
  scheme: string
  value: string
}

export interface InviteRelationshipInput {
  as?: string | null | undefined
  partnerId: string
  role: RelationshipRole
  kind: string
  terms?: unknown | null | undefined
  rating?: number | null | undefined
}

export interface PutUserInput {
  companyId: string
  userId?: string | null | undefined
  name: string
  email?: string | null | undefined
  roles: readonly UserRole[]
}

export interface RateRelationshipInput {
  id: string
  as?: string | null | undefined
  rating: number
}

export interface RelationshipActionInput {
  id: string
  as?: string | null | undefined
}

export type RelationshipOrder = 'NEWEST' | 'OLDEST' | 'RATING'

export type RelationshipRole = 'BUYER' | 'SELLER'

export type RelationshipStatus = 'INVITED' | 'ACTIVE' | 'SUSPENDED' | 'ENDED' | 'DECLINED'

export interface SectorInput {
  code: string
  name: string
}

export interface UpdateCompanyInput {
  id: string
  name?: string | null | undefined
  identifiers?: readonly IdentifierInput[] | null | undefined
  sector?: string | null | undefined
  subIndustry?: string | null | undefined
  seat?: string | null | undefined
  founded?: string | null | undefined
}

export type UserRole = 'OWNER' | 'MANAGER' | 'ACCOUNTANT' | 'AUDITOR' | 'MEMBER'

export interface CompanyRelationshipsArgs {
  first: number | null
  after?: string | null | undefined
  role?: RelationshipRole | null | undefined
  status?: RelationshipStatus | null | undefined
  kind?: string | null | undefined
  orderBy: RelationshipOrder | null
}

export interface CompanyMutualPartnersArgs {
  with: string
  first: number | null
}

export interface CompanyNetworkArgs {
  depth: number | null
  limit: number | null
  allowPartial: boolean | null
}

export interface MutationCreateCompanyArgs {
  input: CreateCompanyInput
}

export interface MutationUpdateCompanyArgs {
  input: UpdateCompanyInput
}

export interface MutationPutSectorsArgs {
  sectors: readonly SectorInput[]
}

export interface MutationInviteRelationshipArgs {
  input: InviteRelationshipInput
}

export interface MutationAcceptRelationshipArgs {
  input: RelationshipActionInput
}

export interface MutationDeclineRelationshipArgs {
  input: RelationshipActionInput
}

export interface MutationSuspendRelationshipArgs {
  input: RelationshipActionInput
}

export interface MutationResumeRelationshipArgs {
  input: RelationshipActionInput
}

export interface MutationEndRelationshipArgs {
  input: RelationshipActionInput
}

export interface MutationRateRelationshipArgs {
  input: RateRelationshipInput
}

export interface MutationPutUserArgs {
  input: PutUserInput
}

export interface MutationRemoveUserArgs {
  companyId: string
  userId: string
}

export interface QueryCompanyArgs {
  id: string
}

export interface QueryCompanyByIdentifierArgs {
  scheme: string
  value: string
}

export interface QueryCompaniesArgs {
  first: number | null
  after?: string | null | undefined
  search?: string | null | undefined
  sector?: string | null | undefined
  orderBy?: CompanyOrder | null | undefined
  allowPartial: boolean | null
}

export interface QueryRelationshipArgs {
  id: string
}

export interface SubscriptionCompanyChangedArgs {
  companyId: string
  after?: string | null | undefined
}

export interface SubscriptionRelationshipChangedArgs {
  companyId: string
  relationshipId?: string | null | undefined
  after?: string | null | undefined
}

export interface Objects {
  Company: unknown
  CompanyChanged: unknown
  CompanyConnection: unknown
  CompanyEdge: unknown
  CompanyPayload: unknown
  Countersignature: unknown
  Identifier: unknown
  MutualPartners: unknown
  Network: unknown
  NetworkEdge: unknown
  NetworkNode: unknown
  PageInfo: unknown
  Relationship: unknown
  RelationshipChanged: unknown
  RelationshipConnection: unknown
  RelationshipCount: unknown
  RelationshipEdge: unknown
  RelationshipPayload: unknown
  RelationshipStats: unknown
  Sector: unknown
  User: unknown
  UserPayload: unknown
}

export type Resolvers<Context, O extends Objects> = Needed<{
  Company: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['Company'] | null> } & Fields<O['Company'], {
    id: string
    name: string
    identifiers: readonly O['Identifier'][]
    sector: O['Sector'] | null
    subIndustry: string | null
    seat: string | null
    founded: string | null
    createdAt: string
    updatedAt: string
    relationshipStats: O['RelationshipStats'] | null
    users: readonly O['User'][] | null
  }, {
    id: Resolver<O['Company'], Record<string, never>, Context, string>
    name: Resolver<O['Company'], Record<string, never>, Context, string>
    identifiers: Resolver<O['Company'], Record<string, never>, Context, readonly O['Identifier'][]>
    sector: Resolver<O['Company'], Record<string, never>, Context, O['Sector'] | null>
    subIndustry: Resolver<O['Company'], Record<string, never>, Context, string | null>
    seat: Resolver<O['Company'], Record<string, never>, Context, string | null>
    founded: Resolver<O['Company'], Record<string, never>, Context, string | null>
    createdAt: Resolver<O['Company'], Record<string, never>, Context, string>
    updatedAt: Resolver<O['Company'], Record<string, never>, Context, string>
    relationships: Resolver<O['Company'], CompanyRelationshipsArgs, Context, O['RelationshipConnection'] | null>
    relationshipStats: Resolver<O['Company'], Record<string, never>, Context, O['RelationshipStats'] | null>
    mutualPartners: Resolver<O['Company'], CompanyMutualPartnersArgs, Context, O['MutualPartners'] | null>
    network: Resolver<O['Company'], CompanyNetworkArgs, Context, O['Network'] | null>
    users: Resolver<O['Company'], Record<string, never>, Context, readonly O['User'][] | null>
  }>
  CompanyChanged: Fields<O['CompanyChanged'], {
    cursor: string
    kind: string
    company: O['Company']
  }, {
    cursor: Resolver<O['CompanyChanged'], Record<string, never>, Context, string>
    kind: Resolver<O['CompanyChanged'], Record<string, never>, Context, string>
    company: Resolver<O['CompanyChanged'], Record<string, never>, Context, O['Company']>
  }>
  CompanyConnection: Fields<O['CompanyConnection'], {
    edges: readonly O['CompanyEdge'][]
    nodes: readonly O['Company'][]
    pageInfo: O['PageInfo']
  }, {
    edges: Resolver<O['CompanyConnection'], Record<string, never>, Context, readonly O['CompanyEdge'][]>
    nodes: Resolver<O['CompanyConnection'], Record<string, never>, Context, readonly O['Company'][]>
    pageInfo: Resolver<O['CompanyConnection'], Record<string, never>, Context, O['PageInfo']>
  }>
  CompanyEdge: Fields<O['CompanyEdge'], {
    cursor: string
    node: O['Company']
  }, {
    cursor: Resolver<O['CompanyEdge'], Record<string, never>, Context, string>
    node: Resolver<O['CompanyEdge'], Record<string, never>, Context, O['Company']>
  }>
  CompanyPayload: Fields<O['CompanyPayload'], {
    company: O['Company']
    position: string
  }, {
    company: Resolver<O['CompanyPayload'], Record<string, never>, Context, O['Company']>
    position: Resolver<O['CompanyPayload'], Record<string, never>, Context, string>
  }>
  Countersignature: Fields<O['Countersignature'], {
    action: string
    byId: string
    recordId: string
    leaf: string
    receivedId: string | null
    receivedLeaf: string | null
    verified: boolean
  }, {
    action: Resolver<O['Countersignature'], Record<string, never>, Context, string>
    byId: Resolver<O['Countersignature'], Record<string, never>, Context, string>
    recordId: Resolver<O['Countersignature'], Record<string, never>, Context, string>
    leaf: Resolver<O['Countersignature'], Record<string, never>, Context, string>
    receivedId: Resolver<O['Countersignature'], Record<string, never>, Context, string | null>
    receivedLeaf: Resolver<O['Countersignature'], Record<string, never>, Context, string | null>
    verified: Resolver<O['Countersignature'], Record<string, never>, Context, boolean>
  }>
  Identifier: Fields<O['Identifier'], {
    scheme: string
    value: string
  }, {
    scheme: Resolver<O['Identifier'], Record<string, never>, Context, string>
    value: Resolver<O['Identifier'], Record<string, never>, Context, string>
  }>
  Mutation: {
    createCompany: Resolver<unknown, MutationCreateCompanyArgs, Context, O['CompanyPayload']>
    updateCompany: Resolver<unknown, MutationUpdateCompanyArgs, Context, O['CompanyPayload']>
    putSectors: Resolver<unknown, MutationPutSectorsArgs, Context, readonly O['Sector'][]>
    inviteRelationship: Resolver<unknown, MutationInviteRelationshipArgs, Context, O['RelationshipPayload']>
    acceptRelationship: Resolver<unknown, MutationAcceptRelationshipArgs, Context, O['RelationshipPayload']>
    declineRelationship: Resolver<unknown, MutationDeclineRelationshipArgs, Context, O['RelationshipPayload']>
    suspendRelationship: Resolver<unknown, MutationSuspendRelationshipArgs, Context, O['RelationshipPayload']>
    resumeRelationship: Resolver<unknown, MutationResumeRelationshipArgs, Context, O['RelationshipPayload']>
    endRelationship: Resolver<unknown, MutationEndRelationshipArgs, Context, O['RelationshipPayload']>
    rateRelationship: Resolver<unknown, MutationRateRelationshipArgs, Context, O['RelationshipPayload']>
    putUser: Resolver<unknown, MutationPutUserArgs, Context, O['UserPayload']>
    removeUser: Resolver<unknown, MutationRemoveUserArgs, Context, string>
  }
  MutualPartners: Fields<O['MutualPartners'], {
    total: number
    companies: readonly (O['Company'] | null)[]
  }, {
    total: Resolver<O['MutualPartners'], Record<string, never>, Context, number>
    companies: Resolver<O['MutualPartners'], Record<string, never>, Context, readonly (O['Company'] | null)[]>
  }>
  Network: Fields<O['Network'], {
    nodes: readonly O['NetworkNode'][]
    edges: readonly O['NetworkEdge'][]
    truncated: boolean
  }, {
    nodes: Resolver<O['Network'], Record<string, never>, Context, readonly O['NetworkNode'][]>
    edges: Resolver<O['Network'], Record<string, never>, Context, readonly O['NetworkEdge'][]>
    truncated: Resolver<O['Network'], Record<string, never>, Context, boolean>
  }>
  NetworkEdge: Fields<O['NetworkEdge'], {
    relationshipId: string
    buyerId: string
    sellerId: string
    kind: string
    status: RelationshipStatus
  }, {
    relationshipId: Resolver<O['NetworkEdge'], Record<string, never>, Context, string>
    buyerId: Resolver<O['NetworkEdge'], Record<string, never>, Context, string>
    sellerId: Resolver<O['NetworkEdge'], Record<string, never>, Context, string>
    kind: Resolver<O['NetworkEdge'], Record<string, never>, Context, string>
    status: Resolver<O['NetworkEdge'], Record<string, never>, Context, RelationshipStatus>
  }>
  NetworkNode: Fields<O['NetworkNode'], {
    companyId: string
    company: O['Company'] | null
    distance: number
  }, {
    companyId: Resolver<O['NetworkNode'], Record<string, never>, Context, string>
    company: Resolver<O['NetworkNode'], Record<string, never>, Context, O['Company'] | null>
    distance: Resolver<O['NetworkNode'], Record<string, never>, Context, number>
  }>
  PageInfo: Fields<O['PageInfo'], {
    hasNextPage: boolean
    hasPreviousPage: boolean
    startCursor: string | null
    endCursor: string | null
  }, {
    hasNextPage: Resolver<O['PageInfo'], Record<string, never>, Context, boolean>
    hasPreviousPage: Resolver<O['PageInfo'], Record<string, never>, Context, boolean>
    startCursor: Resolver<O['PageInfo'], Record<string, never>, Context, string | null>
    endCursor: Resolver<O['PageInfo'], Record<string, never>, Context, string | null>
  }>
  Query: {
    company: Resolver<unknown, QueryCompanyArgs, Context, O['Company'] | null>
    companyByIdentifier: Resolver<unknown, QueryCompanyByIdentifierArgs, Context, O['Company'] | null>
    companies: Resolver<unknown, QueryCompaniesArgs, Context, O['CompanyConnection']>
    sectors: Resolver<unknown, Record<string, never>, Context, readonly O['Sector'][]>
    relationship: Resolver<unknown, QueryRelationshipArgs, Context, O['Relationship'] | null>
  }
  Relationship: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['Relationship'] | null> } & Fields<O['Relationship'], {
    id: string
    buyerId: string
    sellerId: string
    buyer: O['Company'] | null
    seller: O['Company'] | null
    invitedBy: O['Company'] | null
    suspendedBy: O['Company'] | null
    kind: string
    status: RelationshipStatus
    terms: unknown | null
    rating: number | null
    invitedAt: string
    activeAt: string | null
    endedAt: string | null
    updatedAt: string
    countersignatures: readonly O['Countersignature'][] | null
  }, {
    id: Resolver<O['Relationship'], Record<string, never>, Context, string>
    buyerId: Resolver<O['Relationship'], Record<string, never>, Context, string>
    sellerId: Resolver<O['Relationship'], Record<string, never>, Context, string>
    buyer: Resolver<O['Relationship'], Record<string, never>, Context, O['Company'] | null>
    seller: Resolver<O['Relationship'], Record<string, never>, Context, O['Company'] | null>
    invitedBy: Resolver<O['Relationship'], Record<string, never>, Context, O['Company'] | null>
    suspendedBy: Resolver<O['Relationship'], Record<string, never>, Context, O['Company'] | null>
    kind: Resolver<O['Relationship'], Record<string, never>, Context, string>
    status: Resolver<O['Relationship'], Record<string, never>, Context, RelationshipStatus>
    terms: Resolver<O['Relationship'], Record<string, never>, Context, unknown | null>
    rating: Resolver<O['Relationship'], Record<string, never>, Context, number | null>
    invitedAt: Resolver<O['Relationship'], Record<string, never>, Context, string>
    activeAt: Resolver<O['Relationship'], Record<string, never>, Context, string | null>
    endedAt: Resolver<O['Relationship'], Record<string, never>, Context, string | null>
    updatedAt: Resolver<O['Relationship'], Record<string, never>, Context, string>
    countersignatures: Resolver<O['Relationship'], Record<string, never>, Context, readonly O['Countersignature'][] | null>
  }>
  RelationshipChanged: Fields<O['RelationshipChanged'], {
    cursor: string
    kind: string
    relationship: O['Relationship']
  }, {
    cursor: Resolver<O['RelationshipChanged'], Record<string, never>, Context, string>
    kind: Resolver<O['RelationshipChanged'], Record<string, never>, Context, string>
    relationship: Resolver<O['RelationshipChanged'], Record<string, never>, Context, O['Relationship']>
  }>
  RelationshipConnection: Fields<O['RelationshipConnection'], {
    edges: readonly O['RelationshipEdge'][]
    nodes: readonly O['Relationship'][]
    pageInfo: O['PageInfo']
  }, {
    edges: Resolver<O['RelationshipConnection'], Record<string, never>, Context, readonly O['RelationshipEdge'][]>
    nodes: Resolver<O['RelationshipConnection'], Record<string, never>, Context, readonly O['Relationship'][]>
    pageInfo: Resolver<O['RelationshipConnection'], Record<string, never>, Context, O['PageInfo']>
  }>
  RelationshipCount: Fields<O['RelationshipCount'], {
    role: RelationshipRole
    status: RelationshipStatus
    count: number
  }, {
    role: Resolver<O['RelationshipCount'], Record<string, never>, Context, RelationshipRole>
    status: Resolver<O['RelationshipCount'], Record<string, never>, Context, RelationshipStatus>
    count: Resolver<O['RelationshipCount'], Record<string, never>, Context, number>
  }>
  RelationshipEdge: Fields<O['RelationshipEdge'], {
    cursor: string
    node: O['Relationship']
  }, {
    cursor: Resolver<O['RelationshipEdge'], Record<string, never>, Context, string>
    node: Resolver<O['RelationshipEdge'], Record<string, never>, Context, O['Relationship']>
  }>
  RelationshipPayload: Fields<O['RelationshipPayload'], {
    relationship: O['Relationship']
    position: string
  }, {
    relationship: Resolver<O['RelationshipPayload'], Record<string, never>, Context, O['Relationship']>
    position: Resolver<O['RelationshipPayload'], Record<string, never>, Context, string>
  }>
  RelationshipStats: Fields<O['RelationshipStats'], {
    total: number
    counts: readonly O['RelationshipCount'][]
    meanRatingGiven: number | null
    meanRatingReceived: number | null
  }, {
    total: Resolver<O['RelationshipStats'], Record<string, never>, Context, number>
    counts: Resolver<O['RelationshipStats'], Record<string, never>, Context, readonly O['RelationshipCount'][]>
    meanRatingGiven: Resolver<O['RelationshipStats'], Record<string, never>, Context, number | null>
    meanRatingReceived: Resolver<O['RelationshipStats'], Record<string, never>, Context, number | null>
  }>
  Sector: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['Sector'] | null> } & Fields<O['Sector'], {
    code: string
    name: string
  }, {
    code: Resolver<O['Sector'], Record<string, never>, Context, string>
    name: Resolver<O['Sector'], Record<string, never>, Context, string>
  }>
  Subscription: {
    companyChanged: { subscribe: Resolver<unknown, SubscriptionCompanyChangedArgs, Context, AsyncIterable<O['CompanyChanged']>>; resolve: (event: O['CompanyChanged']) => O['CompanyChanged'] }
    relationshipChanged: { subscribe: Resolver<unknown, SubscriptionRelationshipChangedArgs, Context, AsyncIterable<O['RelationshipChanged']>>; resolve: (event: O['RelationshipChanged']) => O['RelationshipChanged'] }
  }
  User: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['User'] | null> } & Fields<O['User'], {
    id: string
    company: O['Company']
    name: string
    email: string | null
    roles: readonly UserRole[]
    createdAt: string
    updatedAt: string
  }, {
    id: Resolver<O['User'], Record<string, never>, Context, string>
    company: Resolver<O['User'], Record<string, never>, Context, O['Company']>
    name: Resolver<O['User'], Record<string, never>, Context, string>
    email: Resolver<O['User'], Record<string, never>, Context, string | null>
    roles: Resolver<O['User'], Record<string, never>, Context, readonly UserRole[]>
    createdAt: Resolver<O['User'], Record<string, never>, Context, string>
    updatedAt: Resolver<O['User'], Record<string, never>, Context, string>
  }>
  UserPayload: Fields<O['UserPayload'], {
    user: O['User']
    position: string
  }, {
    user: Resolver<O['UserPayload'], Record<string, never>, Context, O['User']>
    position: Resolver<O['UserPayload'], Record<string, never>, Context, string>
  }>
}>

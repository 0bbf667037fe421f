// Written by `npm run schema`; not edited by hand.

import type { GraphQLResolveInfo } from 'graphql'

type Resolver<Parent, Args, Context, Result> = (
  parent: Parent,
  args: Args,
  context: Context,
  info: GraphQLResolveInfo,
) => Result | Promise<Result>

export type CompanyOrder = 'RELEVANCE' | 'NAME' | 'NEWEST'

export interface CreateCompanyInput {
  id?: string | null | undefined
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

export interface MutationCreateCompanyArgs {
  input: CreateCompanyInput
}

export interface MutationUpdateCompanyArgs {
  input: UpdateCompanyInput
}

export interface MutationPutSectorsArgs {
  sectors: readonly SectorInput[]
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
}

export interface Objects {
  Company: unknown
  CompanyConnection: unknown
  CompanyEdge: unknown
  CompanyPayload: unknown
  Identifier: unknown
  PageInfo: unknown
  Sector: unknown
}

export interface Resolvers<Context, O extends Objects> {
  Company: {
    __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context) => Promise<O['Company'] | null>
    id?: Resolver<O['Company'], Record<string, never>, Context, string>
    name?: Resolver<O['Company'], Record<string, never>, Context, string>
    identifiers?: Resolver<O['Company'], Record<string, never>, Context, readonly O['Identifier'][]>
    sector?: Resolver<O['Company'], Record<string, never>, Context, O['Sector'] | null>
    subIndustry?: Resolver<O['Company'], Record<string, never>, Context, string | null>
    seat?: Resolver<O['Company'], Record<string, never>, Context, string | null>
    founded?: Resolver<O['Company'], Record<string, never>, Context, string | null>
    createdAt?: Resolver<O['Company'], Record<string, never>, Context, string>
    updatedAt?: Resolver<O['Company'], Record<string, never>, Context, string>
  }
  CompanyConnection?: {
    edges?: Resolver<O['CompanyConnection'], Record<string, never>, Context, readonly O['CompanyEdge'][]>
    nodes?: Resolver<O['CompanyConnection'], Record<string, never>, Context, readonly O['Company'][]>
    pageInfo?: Resolver<O['CompanyConnection'], Record<string, never>, Context, O['PageInfo']>
  }
  CompanyEdge?: {
    cursor?: Resolver<O['CompanyEdge'], Record<string, never>, Context, string>
    node?: Resolver<O['CompanyEdge'], Record<string, never>, Context, O['Company']>
  }
  CompanyPayload?: {
    company?: Resolver<O['CompanyPayload'], Record<string, never>, Context, O['Company']>
    position?: Resolver<O['CompanyPayload'], Record<string, never>, Context, string>
  }
  Identifier?: {
    scheme?: Resolver<O['Identifier'], Record<string, never>, Context, string>
    value?: Resolver<O['Identifier'], Record<string, never>, Context, string>
  }
  Mutation: {
    createCompany: Resolver<unknown, MutationCreateCompanyArgs, Context, O['CompanyPayload']>
    updateCompany: Resolver<unknown, MutationUpdateCompanyArgs, Context, O['CompanyPayload']>
    putSectors: Resolver<unknown, MutationPutSectorsArgs, Context, readonly O['Sector'][]>
  }
  PageInfo?: {
    hasNextPage?: Resolver<O['PageInfo'], Record<string, never>, Context, boolean>
    hasPreviousPage?: Resolver<O['PageInfo'], Record<string, never>, Context, boolean>
    startCursor?: Resolver<O['PageInfo'], Record<string, never>, Context, string | null>
    endCursor?: Resolver<O['PageInfo'], Record<string, never>, Context, string | null>
  }
  Query: {
    company: Resolver<unknown, QueryCompanyArgs, Context, O['Company'] | null>
    companyByIdentifier: Resolver<unknown, QueryCompanyByIdentifierArgs, Context, O['Company'] | null>
    companies: Resolver<unknown, QueryCompaniesArgs, Context, O['CompanyConnection']>
    sectors: Resolver<unknown, Record<string, never>, Context, readonly O['Sector'][]>
  }
  Sector: {
    __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context) => Promise<O['Sector'] | null>
    code?: Resolver<O['Sector'], Record<string, never>, Context, string>
    name?: Resolver<O['Sector'], Record<string, never>, Context, string>
  }
}

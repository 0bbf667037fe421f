// Written by `npm run schema`; not edited by hand.

import type { GraphQLResolveInfo } from 'graphql'

type Resolver<Parent, Args, Context, Result> = (
  parent: Parent,
  args: Args,
  context: Context,
  info: GraphQLResolveInfo,
) => Result | Promise<Result>

export interface AppendRecordsInput {
  companyId: string
  expected?: readonly ExpectedVersion[] | null | undefined
  records: readonly NewRecordInput[]
}

export interface ExpectedVersion {
  stream: string
  version: number
}

export interface NewRecordInput {
  kind: string
  source: string
  stream: string
  data: unknown
  occurredAt?: string | null | undefined
  key?: string | null | undefined
  causation?: string | null | undefined
}

export interface RecordFilter {
  kinds?: readonly string[] | null | undefined
  streams?: readonly string[] | null | undefined
  sources?: readonly string[] | null | undefined
}

export interface LedgerRecordsArgs {
  first?: number | null | undefined
  after?: string | null | undefined
  last?: number | null | undefined
  before?: string | null | undefined
  filter?: RecordFilter | null | undefined
}

export interface MutationAppendRecordsArgs {
  input: AppendRecordsInput
}

export interface QueryRecordArgs {
  id: string
}

export interface SubscriptionRecordAppendedArgs {
  companyId: string
  kinds?: readonly string[] | null | undefined
  streams?: readonly string[] | null | undefined
  after?: string | null | undefined
}

export interface Objects {
  AppendRecordsPayload: unknown
  Company: unknown
  Ledger: unknown
  PageInfo: unknown
  Record: unknown
  RecordAppended: unknown
  RecordConnection: unknown
  RecordEdge: unknown
}

export interface Resolvers<Context, O extends Objects> {
  AppendRecordsPayload?: {
    records?: Resolver<O['AppendRecordsPayload'], Record<string, never>, Context, readonly O['Record'][]>
    position?: Resolver<O['AppendRecordsPayload'], Record<string, never>, Context, string>
  }
  Company: {
    __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context) => Promise<O['Company'] | null>
    id?: Resolver<O['Company'], Record<string, never>, Context, string>
    ledger?: Resolver<O['Company'], Record<string, never>, Context, O['Ledger'] | null>
  }
  Ledger?: {
    origin?: Resolver<O['Ledger'], Record<string, never>, Context, string>
    size?: Resolver<O['Ledger'], Record<string, never>, Context, number>
    head?: Resolver<O['Ledger'], Record<string, never>, Context, string | null>
    records?: Resolver<O['Ledger'], LedgerRecordsArgs, Context, O['RecordConnection']>
  }
  Mutation: {
    appendRecords: Resolver<unknown, MutationAppendRecordsArgs, Context, O['AppendRecordsPayload']>
  }
  PageInfo?: {
    hasNextPage?: Resolver<O['PageInfo'], Record<string, never>, Context, boolean>
    hasPreviousPage?: Resolver<O['PageInfo'], Record<string, never>, Context, boolean>
    startCursor?: Resolver<O['PageInfo'], Record<string, never>, Context, string | null>
    endCursor?: Resolver<O['PageInfo'], Record<string, never>, Context, string | null>
  }
  Query: {
    record: Resolver<unknown, QueryRecordArgs, Context, O['Record'] | null>
  }
  Record: {
    __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context) => Promise<O['Record'] | null>
    id?: Resolver<O['Record'], Record<string, never>, Context, string>
    position?: Resolver<O['Record'], Record<string, never>, Context, number>
    kind?: Resolver<O['Record'], Record<string, never>, Context, string>
    source?: Resolver<O['Record'], Record<string, never>, Context, string>
    stream?: Resolver<O['Record'], Record<string, never>, Context, string>
    version?: Resolver<O['Record'], Record<string, never>, Context, number>
    data?: Resolver<O['Record'], Record<string, never>, Context, unknown | null>
    occurredAt?: Resolver<O['Record'], Record<string, never>, Context, string | null>
    recordedAt?: Resolver<O['Record'], Record<string, never>, Context, string>
    actor?: Resolver<O['Record'], Record<string, never>, Context, string | null>
    causation?: Resolver<O['Record'], Record<string, never>, Context, string | null>
    leaf?: Resolver<O['Record'], Record<string, never>, Context, string>
    previousLeaf?: Resolver<O['Record'], Record<string, never>, Context, string>
    company?: Resolver<O['Record'], Record<string, never>, Context, O['Company']>
  }
  RecordAppended?: {
    cursor?: Resolver<O['RecordAppended'], Record<string, never>, Context, string>
    record?: Resolver<O['RecordAppended'], Record<string, never>, Context, O['Record']>
  }
  RecordConnection?: {
    edges?: Resolver<O['RecordConnection'], Record<string, never>, Context, readonly O['RecordEdge'][]>
    nodes?: Resolver<O['RecordConnection'], Record<string, never>, Context, readonly O['Record'][]>
    pageInfo?: Resolver<O['RecordConnection'], Record<string, never>, Context, O['PageInfo']>
  }
  RecordEdge?: {
    cursor?: Resolver<O['RecordEdge'], Record<string, never>, Context, string>
    node?: Resolver<O['RecordEdge'], Record<string, never>, Context, O['Record']>
  }
  Subscription: {
    recordAppended: { subscribe: Resolver<unknown, SubscriptionRecordAppendedArgs, Context, AsyncIterable<O['RecordAppended']>>; resolve: (event: O['RecordAppended']) => O['RecordAppended'] }
  }
}

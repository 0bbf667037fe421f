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

export interface AppendRecordsInput {
  companyId: string
  expected?: readonly ExpectedVersion[] | null | undefined
  records: readonly NewRecordInput[]
}

export interface EraseRecordsInput {
  companyId: string
  positions: readonly number[]
}

export interface EraseSubjectInput {
  companyId: string
  subject: string
}

export interface ExpectedVersion {
  stream: string
  version: number | 'none' | 'any'
}

export interface NewRecordInput {
  kind: string
  source: string
  stream: string
  data: unknown
  occurredAt?: string | null | undefined
  key?: string | null | undefined
  causation?: string | null | undefined
  private?: PrivatePartInput | null | undefined
}

export interface PrivatePartInput {
  subject: string
  data: unknown
}

export interface PublishLedgerInput {
  companyId: string
  published: boolean
}

export interface RecordFilter {
  kinds?: readonly string[] | null | undefined
  streams?: readonly string[] | null | undefined
  sources?: readonly string[] | null | undefined
}

export interface RegisterSchemaInput {
  companyId: string
  kind: string
  schema?: unknown | null | undefined
}

export type VkeyState = 'CURRENT' | 'SIGNING' | 'RETIRED'

export interface LedgerRecordsArgs {
  first?: number | null | undefined
  after?: string | null | undefined
  last?: number | null | undefined
  before?: string | null | undefined
  filter?: RecordFilter | null | undefined
}

export interface LedgerCheckpointArgs {
  size?: number | null | undefined
}

export interface LedgerConsistencyProofArgs {
  from: number
  to: number
}

export interface LedgerAsOfArgs {
  position?: number | null | undefined
  time?: string | null | undefined
}

export interface LedgerMomentStateArgs {
  first?: number | null | undefined
  after?: string | null | undefined
}

export interface LedgerMomentMissingArgs {
  required: readonly string[]
}

export interface MutationAppendRecordsArgs {
  input: AppendRecordsInput
}

export interface MutationRegisterSchemaArgs {
  input: RegisterSchemaInput
}

export interface MutationEraseSubjectArgs {
  input: EraseSubjectInput
}

export interface MutationEraseRecordsArgs {
  input: EraseRecordsInput
}

export interface MutationPublishLedgerArgs {
  input: PublishLedgerInput
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

export interface SubscriptionLedgerCheckpointArgs {
  companyId: string
  after?: string | null | undefined
}

export interface Objects {
  AppendRecordsPayload: unknown
  Company: unknown
  ErasePayload: unknown
  Ledger: unknown
  LedgerCheckpoint: unknown
  LedgerCheckpointSigned: unknown
  LedgerMoment: unknown
  LedgerState: unknown
  LedgerVkey: unknown
  PageInfo: unknown
  PrivatePart: unknown
  PublishLedgerPayload: unknown
  Record: unknown
  RecordAppended: unknown
  RecordConnection: unknown
  RecordEdge: unknown
  RecordSchema: unknown
  RegisterSchemaPayload: unknown
}

export type Resolvers<Context, O extends Objects> = Needed<{
  AppendRecordsPayload: Fields<O['AppendRecordsPayload'], {
    records: readonly O['Record'][]
    position: string
  }, {
    records: Resolver<O['AppendRecordsPayload'], Record<string, never>, Context, readonly O['Record'][]>
    position: Resolver<O['AppendRecordsPayload'], Record<string, never>, Context, string>
  }>
  Company: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['Company'] | null> } & Fields<O['Company'], {
    id: string
    ledger: O['Ledger'] | null
  }, {
    id: Resolver<O['Company'], Record<string, never>, Context, string>
    ledger: Resolver<O['Company'], Record<string, never>, Context, O['Ledger'] | null>
  }>
  ErasePayload: Fields<O['ErasePayload'], {
    positions: readonly number[]
    position: string
  }, {
    positions: Resolver<O['ErasePayload'], Record<string, never>, Context, readonly number[]>
    position: Resolver<O['ErasePayload'], Record<string, never>, Context, string>
  }>
  Ledger: Fields<O['Ledger'], {
    origin: string
    size: number
    head: string | null
    published: boolean
    schemas: readonly O['RecordSchema'][]
    vkey: string
    vkeys: readonly O['LedgerVkey'][]
  }, {
    origin: Resolver<O['Ledger'], Record<string, never>, Context, string>
    size: Resolver<O['Ledger'], Record<string, never>, Context, number>
    head: Resolver<O['Ledger'], Record<string, never>, Context, string | null>
    records: Resolver<O['Ledger'], LedgerRecordsArgs, Context, O['RecordConnection']>
    checkpoint: Resolver<O['Ledger'], LedgerCheckpointArgs, Context, O['LedgerCheckpoint'] | null>
    consistencyProof: Resolver<O['Ledger'], LedgerConsistencyProofArgs, Context, readonly string[]>
    asOf: Resolver<O['Ledger'], LedgerAsOfArgs, Context, O['LedgerMoment'] | null>
    published: Resolver<O['Ledger'], Record<string, never>, Context, boolean>
    schemas: Resolver<O['Ledger'], Record<string, never>, Context, readonly O['RecordSchema'][]>
    vkey: Resolver<O['Ledger'], Record<string, never>, Context, string>
    vkeys: Resolver<O['Ledger'], Record<string, never>, Context, readonly O['LedgerVkey'][]>
  }>
  LedgerCheckpoint: Fields<O['LedgerCheckpoint'], {
    size: number
    note: string
  }, {
    size: Resolver<O['LedgerCheckpoint'], Record<string, never>, Context, number>
    note: Resolver<O['LedgerCheckpoint'], Record<string, never>, Context, string>
  }>
  LedgerCheckpointSigned: Fields<O['LedgerCheckpointSigned'], {
    cursor: string
    checkpoint: O['LedgerCheckpoint']
  }, {
    cursor: Resolver<O['LedgerCheckpointSigned'], Record<string, never>, Context, string>
    checkpoint: Resolver<O['LedgerCheckpointSigned'], Record<string, never>, Context, O['LedgerCheckpoint']>
  }>
  LedgerMoment: Fields<O['LedgerMoment'], {
    size: number
    checkpoint: O['LedgerCheckpoint'] | null
  }, {
    size: Resolver<O['LedgerMoment'], Record<string, never>, Context, number>
    checkpoint: Resolver<O['LedgerMoment'], Record<string, never>, Context, O['LedgerCheckpoint'] | null>
    state: Resolver<O['LedgerMoment'], LedgerMomentStateArgs, Context, O['LedgerState']>
    missing: Resolver<O['LedgerMoment'], LedgerMomentMissingArgs, Context, readonly string[]>
  }>
  LedgerState: Fields<O['LedgerState'], {
    records: readonly O['Record'][]
    hasMore: boolean
  }, {
    records: Resolver<O['LedgerState'], Record<string, never>, Context, readonly O['Record'][]>
    hasMore: Resolver<O['LedgerState'], Record<string, never>, Context, boolean>
  }>
  LedgerVkey: Fields<O['LedgerVkey'], {
    vkey: string
    state: VkeyState
  }, {
    vkey: Resolver<O['LedgerVkey'], Record<string, never>, Context, string>
    state: Resolver<O['LedgerVkey'], Record<string, never>, Context, VkeyState>
  }>
  Mutation: {
    appendRecords: Resolver<unknown, MutationAppendRecordsArgs, Context, O['AppendRecordsPayload']>
    registerSchema: Resolver<unknown, MutationRegisterSchemaArgs, Context, O['RegisterSchemaPayload']>
    eraseSubject: Resolver<unknown, MutationEraseSubjectArgs, Context, O['ErasePayload']>
    eraseRecords: Resolver<unknown, MutationEraseRecordsArgs, Context, O['ErasePayload']>
    publishLedger: Resolver<unknown, MutationPublishLedgerArgs, Context, O['PublishLedgerPayload']>
  }
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
  PrivatePart: Fields<O['PrivatePart'], {
    subject: string
    data: unknown
  }, {
    subject: Resolver<O['PrivatePart'], Record<string, never>, Context, string>
    data: Resolver<O['PrivatePart'], Record<string, never>, Context, unknown>
  }>
  PublishLedgerPayload: Fields<O['PublishLedgerPayload'], {
    ledger: O['Ledger']
    position: string
  }, {
    ledger: Resolver<O['PublishLedgerPayload'], Record<string, never>, Context, O['Ledger']>
    position: Resolver<O['PublishLedgerPayload'], Record<string, never>, Context, string>
  }>
  Query: {
    record: Resolver<unknown, QueryRecordArgs, Context, O['Record'] | null>
  }
  Record: { __resolveReference: (reference: { readonly [key: string]: unknown }, context: Context, info: GraphQLResolveInfo) => Promise<O['Record'] | null> } & Fields<O['Record'], {
    id: string
    position: number
    kind: string
    source: string
    stream: string
    version: number
    data: unknown | null
    occurredAt: string | null
    recordedAt: string
    actor: string | null
    key: string | null
    causation: string | null
    private: O['PrivatePart'] | null
    proof: string | null
    leaf: string
    previousLeaf: string
    company: O['Company']
  }, {
    id: Resolver<O['Record'], Record<string, never>, Context, string>
    position: Resolver<O['Record'], Record<string, never>, Context, number>
    kind: Resolver<O['Record'], Record<string, never>, Context, string>
    source: Resolver<O['Record'], Record<string, never>, Context, string>
    stream: Resolver<O['Record'], Record<string, never>, Context, string>
    version: Resolver<O['Record'], Record<string, never>, Context, number>
    data: Resolver<O['Record'], Record<string, never>, Context, unknown | null>
    occurredAt: Resolver<O['Record'], Record<string, never>, Context, string | null>
    recordedAt: Resolver<O['Record'], Record<string, never>, Context, string>
    actor: Resolver<O['Record'], Record<string, never>, Context, string | null>
    key: Resolver<O['Record'], Record<string, never>, Context, string | null>
    causation: Resolver<O['Record'], Record<string, never>, Context, string | null>
    private: Resolver<O['Record'], Record<string, never>, Context, O['PrivatePart'] | null>
    proof: Resolver<O['Record'], Record<string, never>, Context, string | null>
    leaf: Resolver<O['Record'], Record<string, never>, Context, string>
    previousLeaf: Resolver<O['Record'], Record<string, never>, Context, string>
    company: Resolver<O['Record'], Record<string, never>, Context, O['Company']>
  }>
  RecordAppended: Fields<O['RecordAppended'], {
    cursor: string
    record: O['Record']
  }, {
    cursor: Resolver<O['RecordAppended'], Record<string, never>, Context, string>
    record: Resolver<O['RecordAppended'], Record<string, never>, Context, O['Record']>
  }>
  RecordConnection: Fields<O['RecordConnection'], {
    edges: readonly O['RecordEdge'][]
    nodes: readonly O['Record'][]
    pageInfo: O['PageInfo']
  }, {
    edges: Resolver<O['RecordConnection'], Record<string, never>, Context, readonly O['RecordEdge'][]>
    nodes: Resolver<O['RecordConnection'], Record<string, never>, Context, readonly O['Record'][]>
    pageInfo: Resolver<O['RecordConnection'], Record<string, never>, Context, O['PageInfo']>
  }>
  RecordEdge: Fields<O['RecordEdge'], {
    cursor: string
    node: O['Record']
  }, {
    cursor: Resolver<O['RecordEdge'], Record<string, never>, Context, string>
    node: Resolver<O['RecordEdge'], Record<string, never>, Context, O['Record']>
  }>
  RecordSchema: Fields<O['RecordSchema'], {
    kind: string
    version: number
    schema: unknown
  }, {
    kind: Resolver<O['RecordSchema'], Record<string, never>, Context, string>
    version: Resolver<O['RecordSchema'], Record<string, never>, Context, number>
    schema: Resolver<O['RecordSchema'], Record<string, never>, Context, unknown>
  }>
  RegisterSchemaPayload: Fields<O['RegisterSchemaPayload'], {
    schema: O['RecordSchema']
    position: string
  }, {
    schema: Resolver<O['RegisterSchemaPayload'], Record<string, never>, Context, O['RecordSchema']>
    position: Resolver<O['RegisterSchemaPayload'], Record<string, never>, Context, string>
  }>
  Subscription: {
    recordAppended: { subscribe: Resolver<unknown, SubscriptionRecordAppendedArgs, Context, AsyncIterable<O['RecordAppended']>>; resolve: (event: O['RecordAppended']) => O['RecordAppended'] }
    ledgerCheckpoint: { subscribe: Resolver<unknown, SubscriptionLedgerCheckpointArgs, Context, AsyncIterable<O['LedgerCheckpointSigned']>>; resolve: (event: O['LedgerCheckpointSigned']) => O['LedgerCheckpointSigned'] }
  }
}>

import { authorize } from '../../access/rights.ts'
import { AppError, listTooLong } from '../../core/errors.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import { pageSize } from '../../core/page-size.ts'
import { type CompanyId, parseCompanyId, parseRecordId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json/canonical.ts'
import { decodeCursor, encodeCursor } from '../../events/cursor.ts'
import type { Follower } from '../../events/follow.ts'
import { originOf } from '../../ledger/entry.ts'
import type { LedgerMoment } from '../../ledger/as-of.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { maxRecordsPerAppend } from '../../ledger/limits.ts'
import { type PageArguments, readHeads } from '../../ledger/read.ts'
import type { LedgerRecord } from '../../ledger/record.ts'
import { ledgerHead, recordByPlace, recordPage } from '../../loaders/ledger.ts'
import type { LedgerRecordsArgs, Objects, Resolvers, VkeyState } from '../../schema/generated/records.ts'
import type { Store } from '../../store/store.ts'
import type { Connection, PageInfo } from '../connection.ts'
import type { SubgraphContext } from '../context.ts'
import { eventsOf } from '../events.ts'
import { type CheckpointEvent, followCheckpoints } from './checkpoint-events.ts'
import { createProvingResolvers, type Proving } from './proving.ts'

export interface RecordObjects extends Objects {
  AppendRecordsPayload: { records: readonly LedgerRecord[]; position: string }
  Company: { id: CompanyId }
  ErasePayload: { positions: readonly number[]; position: string }
  Ledger: { companyId: CompanyId }
  LedgerCheckpoint: { size: number; note: string }
  LedgerCheckpointSigned: CheckpointEvent
  LedgerMoment: LedgerMoment
  LedgerState: { records: readonly LedgerRecord[]; hasMore: boolean }
  LedgerVkey: { vkey: string; state: VkeyState }
  PageInfo: PageInfo
  PrivatePart: { subject: string; data: unknown }
  PublishLedgerPayload: { ledger: { companyId: CompanyId }; position: string }
  Record: LedgerRecord
  RecordAppended: { cursor: string; record: LedgerRecord }
  RecordConnection: Connection<LedgerRecord>
  RecordEdge: { cursor: string; node: LedgerRecord }
  RecordSchema: { kind: string; version: number; schema: unknown }
  RegisterSchemaPayload: { schema: { kind: string; version: number; schema: unknown }; position: string }
}

const maxFilterValues = 100

export function createRecordsResolvers(deps: {
  store: Store
  ledger: Ledger
  follower: Follower<LedgerRecord>
  proving: Proving
}): Resolvers<SubgraphContext, RecordObjects> {
  const { store, ledger, follower } = deps
  const proving = createProvingResolvers(deps)
  return {
    Query: {
      record: (_, { id }, context) => loadRecord(id, context),
    },
    Mutation: {
      appendRecords: async (_, { input }, context) => {
        const companyId = parseCompanyId(input.companyId)
        authorize(context.principal, 'ledger.append', companyId)
        if (input.records.length > maxRecordsPerAppend) {
          throw listTooLong(`An append has at most ${maxRecordsPerAppend} records.`, maxRecordsPerAppend)
        }
        const { records, position } = await ledger.append(
          companyId,
          {
            expected: input.expected ?? [],
            // The ledger itself looks at what the data is, and refuses what is not an object.
            records: input.records.map((record) => ({
              ...record,
              data: record.data as JsonObject,
              private:
                record.private == null
                  ? null
                  : { subject: record.private.subject, data: record.private.data as JsonObject },
              actor: context.actor,
            })),
          },
          context.scope,
        )
        const token = context.wrote(position)
        for (const record of records) context.loaders.get(recordByPlace).prime(record, record)
        return { records, position: token }
      },
      ...proving.Mutation,
    },
    Subscription: {
      recordAppended: {
        subscribe: async (_, { companyId, kinds, streams, after }, { principal, request }) => {
          const id = parseCompanyId(companyId)
          authorize(principal, 'ledger.read', id)
          refuseLongFilter([kinds, streams])
          refuseEmptyFilter({ kinds, streams })
          await requireLedger(store, id)
          return eventsOf(
            await follower.follow(id, {
              signal: request.signal,
              ...(after == null ? {} : { after }),
              ...(kinds == null ? {} : { kinds }),
              ...(streams == null ? {} : { streams }),
            }),
          )
        },
        resolve: (event) => event,
      },
      ledgerCheckpoint: {
        subscribe: async (_, { companyId, after }, { principal, request }) => {
          const id = parseCompanyId(companyId)
          authorize(principal, 'ledger.read', id)
          return followCheckpoints({ store, follower }, id, { after: after ?? undefined, signal: request.signal })
        },
        resolve: (event) => event,
      },
    },
    Company: {
      __resolveReference: async ({ id }) => ({ id: parseCompanyId(String(id)) }),
      ledger: ({ id }, _, { principal }) => {
        authorize(principal, 'ledger.read', id)
        return { companyId: id }
      },
    },
    Ledger: {
      ...proving.Ledger,
      origin: ({ companyId }) => originOf(store.deployment, companyId),
      size: async ({ companyId }, _, { loaders }) => (await loaders.get(ledgerHead).load(companyId))?.size ?? 0,
      head: async ({ companyId }, _, { loaders }) =>
        (await loaders.get(ledgerHead).load(companyId))?.leaf?.toString('base64') ?? null,
      records: async ({ companyId }, args, { loaders, lists }) => {
        const asked = pageArguments(companyId, args)
        lists.reserve(asked.last ?? asked.first ?? 0)
        const page = await loaders.member(recordPage, asked).load(companyId)
        const edges = (page?.records ?? []).map((record) => ({
          cursor: encodeCursor(companyId, record.position),
          node: record,
        }))
        return {
          edges,
          nodes: edges.map(({ node }) => node),
          pageInfo: {
            hasNextPage: page?.hasNextPage ?? false,
            hasPreviousPage: page?.hasPreviousPage ?? false,
            startCursor: edges.at(0)?.cursor ?? null,
            endCursor: edges.at(-1)?.cursor ?? null,
          },
        }
      },
    },
    LedgerMoment: proving.LedgerMoment,
    Record: {
      ...proving.Record,
      __resolveReference: (reference, context) => loadRecord(String(reference['id']), context),
      data: ({ data }) => (data === null ? null : parseJsonText(data)),
      leaf: ({ leaf }) => leaf.toString('base64'),
      previousLeaf: ({ previousLeaf }) => previousLeaf.toString('base64'),
      company: ({ companyId }) => ({ id: companyId }),
    },
  }
}

async function loadRecord(id: string, { principal, loaders }: SubgraphContext): Promise<LedgerRecord | null> {
  const place = parseRecordId(id)
  authorize(principal, 'ledger.read', place.companyId)
  return loaders.get(recordByPlace).load(place)
}

/** @throws AppError LIST_TOO_LONG | BAD_USER_INPUT | INVALID_CURSOR */
function pageArguments(companyId: CompanyId, { first, after, last, before, filter }: LedgerRecordsArgs): PageArguments {
  if (first != null && last != null) throw new AppError('BAD_USER_INPUT', 'A page takes either first or last.')
  const count = pageSize(last ?? first, { name: last == null ? 'first' : 'last' })
  refuseLongFilter([filter?.kinds, filter?.streams, filter?.sources])
  return {
    ...(last == null ? { first: count } : { last: count }),
    after: after == null ? null : decodeCursor(companyId, after),
    before: before == null ? null : decodeCursor(companyId, before),
    filter: filter ?? null,
  }
}

function refuseLongFilter(lists: readonly (readonly string[] | null | undefined)[]): void {
  if (lists.some((list) => (list?.length ?? 0) > maxFilterValues)) {
    throw listTooLong(`A filter has at most ${maxFilterValues} values.`, maxFilterValues)
  }
}

/** It would bring nothing, ever; who sends one rather means all, or has lost a choice on the way. */
function refuseEmptyFilter(lists: Readonly<Record<string, readonly string[] | null | undefined>>): void {
  for (const [name, list] of Object.entries(lists)) {
    if (list?.length === 0) throw new AppError('BAD_USER_INPUT', `"${name}" is empty: leave it out to get all.`)
  }
}

/** Read on the primary, and once more with the newest directory: a company that was just made or moved is not unknown. */
async function requireLedger(store: Store, companyId: CompanyId): Promise<void> {
  const heads = () => store.onPrimary(store.shardOf(companyId), (sql) => readHeads(sql, [companyId]))
  if ((await heads()).length > 0) return
  await store.refresh()
  if ((await heads()).length > 0) return
  throw new AppError('NOT_FOUND', `There is no company ${companyId}.`, { details: { companyId } })
}

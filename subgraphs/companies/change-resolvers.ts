import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { parseCompanyId } from '../../core/ids.ts'
import type { Follower } from '../../events/follow.ts'
import type { LedgerRecord } from '../../ledger/ledger.ts'
import { parseRelationshipId, type Relationship, type RelationshipId } from '../../network/relationship.ts'
import { acknowledgedKind, deliveredKinds, streamOf } from '../../network/relationship-records.ts'
import type { SubgraphContext } from '../context.ts'
import { eventsOf } from '../events.ts'
import { loadCompany } from './load-company.ts'
import type { CompaniesResolvers } from './objects.ts'

const profileKinds = ['company.created', 'company.updated']
const relationshipKinds = [...deliveredKinds, acknowledgedKind]
const streamStart = streamOf('' as RelationshipId)

/** Subscriptions to companies and relationships: their ledgers followed, each event read at its own position. */
export function createChangeResolvers(deps: {
  follower: Follower<LedgerRecord>
  loadRelationship: (reference: { id: RelationshipId }, context: SubgraphContext) => Promise<Relationship | null>
}) {
  const { follower, loadRelationship } = deps
  return {
    Subscription: {
      companyChanged: {
        subscribe: async (_, { companyId, after }, { principal, request }) => {
          const id = parseCompanyId(companyId)
          authorize(principal, 'company.read')
          const options = { kinds: profileKinds, signal: request.signal, ...(after == null ? {} : { after }) }
          return changesOf(eventsOf(await follower.follow(id, options)), () => id)
        },
        resolve: (event) => event,
      },
      relationshipChanged: {
        subscribe: async (_, { companyId, relationshipId, after }, { principal, request }) => {
          const id = parseCompanyId(companyId)
          authorize(principal, 'relationship.read', id)
          const batches = await follower.follow(id, {
            kinds: relationshipKinds,
            signal: request.signal,
            ...(relationshipId == null ? {} : { streams: [streamOf(parseRelationshipId(relationshipId).id)] }),
            ...(after == null ? {} : { after }),
          })
          return changesOf(eventsOf(batches), ({ stream }) => stream.slice(streamStart.length) as RelationshipId)
        },
        resolve: (event) => event,
      },
    },
    CompanyChanged: {
      company: async ({ id }, _, context, info) => found(await loadCompany(id, context, info)),
    },
    RelationshipChanged: {
      relationship: async ({ id }, _, context) => found(await loadRelationship({ id }, context)),
    },
  } satisfies Pick<CompaniesResolvers, 'Subscription' | 'CompanyChanged' | 'RelationshipChanged'>
}

async function* changesOf<I>(
  events: ReturnType<typeof eventsOf<LedgerRecord>>,
  idOf: (record: LedgerRecord) => I,
): AsyncGenerator<{ id: I; cursor: string; kind: string; record: LedgerRecord; position: string }, void, void> {
  for await (const { cursor, record, position } of events) {
    yield { id: idOf(record), cursor, kind: record.kind, record, position }
  }
}

/** What its own ledger tells of is there. */
function found<T>(value: T | null): T {
  if (value === null) throw new AppError('NOT_FOUND', 'What has changed is not to be found.')
  return value
}

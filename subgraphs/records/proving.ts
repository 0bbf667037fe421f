import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import { pageSize } from '../../core/page-size.ts'
import { parseCompanyId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/json/canonical.ts'
import { originOf } from '../../ledger/entry.ts'
import type { Ledger } from '../../ledger/ledger.ts'
import { eraseRecords, eraseSubject } from '../../ledger/private/erase.ts'
import { encodeBase64 } from '../../ledger/proof/base64.ts'
import type { Keyring } from '../../ledger/proof/keyring.ts'
import type { Proofs } from '../../ledger/proofs.ts'
import { publishLedger } from '../../ledger/published.ts'
import { registerSchema } from '../../ledger/schemas/register.ts'
import {
  consistencyProofWith,
  ledgerCheckpoint,
  ledgerHead,
  ledgerMissing,
  ledgerMoment,
  ledgerSchemas,
  ledgerState,
  privatePartWith,
  recordProofWith,
} from '../../loaders/ledger.ts'
import type { Resolvers, VkeyState } from '../../schema/generated/records.ts'
import type { Store } from '../../store/store.ts'
import type { SubgraphContext } from '../context.ts'
import type { RecordObjects } from './resolvers.ts'

/** What proofs, checkpoints and private parts take. */
export interface Proving {
  readonly proofs: Proofs
  readonly keyring: Keyring
  readonly wrappingKey: Buffer
}

const maxStatePage = 100

type RecordResolvers = Resolvers<SubgraphContext, RecordObjects>

/** The fields that let others check what the ledger says, and the commands that change what it shows. */
export function createProvingResolvers({
  store,
  ledger,
  proving,
}: {
  store: Store
  ledger: Ledger
  proving: Proving
}): {
  Mutation: Pick<RecordResolvers['Mutation'], 'registerSchema' | 'eraseSubject' | 'eraseRecords' | 'publishLedger'>
  Ledger: Pick<
    RecordResolvers['Ledger'],
    'checkpoint' | 'consistencyProof' | 'asOf' | 'published' | 'schemas' | 'vkey' | 'vkeys'
  >
  LedgerMoment: RecordResolvers['LedgerMoment']
  Record: Pick<RecordResolvers['Record'], 'private' | 'proof'>
} {
  const { proofs, keyring } = proving
  const privatePart = privatePartWith(proving.wrappingKey)
  const recordProof = recordProofWith(proofs)
  const consistencyProof = consistencyProofWith(proofs)
  return {
    Mutation: {
      registerSchema: async (_, { input }, { principal, actor, scope, wrote }) => {
        const companyId = parseCompanyId(input.companyId)
        authorize(principal, 'schema.write', companyId)
        const schema = input.schema == null ? null : jsonObject(input.schema, '$.schema')
        const registered = await registerSchema(ledger, companyId, { kind: input.kind, schema, actor }, scope)
        return { schema: parsed(registered), position: wrote(registered.position) }
      },
      eraseSubject: async (_, { input }, { principal, actor, scope, wrote }) => {
        const companyId = parseCompanyId(input.companyId)
        authorize(principal, 'ledger.erase', companyId)
        const { positions, position } = await eraseSubject(ledger, companyId, input.subject, { actor, scope })
        return { positions, position: wrote(position) }
      },
      eraseRecords: async (_, { input }, { principal, actor, scope, wrote }) => {
        const companyId = parseCompanyId(input.companyId)
        authorize(principal, 'ledger.erase', companyId)
        const { positions, position } = await eraseRecords(ledger, companyId, input.positions, { actor, scope })
        return { positions, position: wrote(position) }
      },
      publishLedger: async (_, { input }, { principal, actor, scope, wrote }) => {
        const companyId = parseCompanyId(input.companyId)
        authorize(principal, 'ledger.publish', companyId)
        const { position } = await publishLedger(ledger, companyId, { published: input.published, actor }, scope)
        return { ledger: { companyId }, position: wrote(position) }
      },
    },
    Ledger: {
      checkpoint: async ({ companyId }, { size }, { loaders }) => {
        if (size != null && size < 0) {
          throw new AppError('BAD_USER_INPUT', 'A size is a whole number from 0.', { details: { path: '$.size' } })
        }
        return loaders.member(ledgerCheckpoint, size ?? null).load(companyId)
      },
      consistencyProof: async ({ companyId }, { from, to }, { loaders }) =>
        (await loaders.member(consistencyProof, { from, to }).load(companyId)).map((hash) => encodeBase64(hash)),
      asOf: async ({ companyId }, { position, time }, { loaders }) => {
        const moment = await loaders.member(ledgerMoment, { position, time }).load(companyId)
        if (moment !== null) return moment
        throw new AppError('NOT_FOUND', `There is no record ${companyId}:${position}.`, { details: { position } })
      },
      published: async ({ companyId }, _, { loaders }) =>
        (await loaders.get(ledgerHead).load(companyId))?.published ?? false,
      schemas: async ({ companyId }, _, { loaders }) => (await loaders.get(ledgerSchemas).load(companyId)).map(parsed),
      vkey: ({ companyId }) => keyring.vkey(originOf(store.deployment, companyId)),
      vkeys: ({ companyId }) =>
        keyring
          .vkeys(originOf(store.deployment, companyId))
          .map(({ vkey, state }) => ({ vkey, state: state.toUpperCase() as VkeyState })),
    },
    LedgerMoment: {
      state: async (moment, { first, after }, { loaders, lists }) => {
        const page = { first: pageSize(first, { most: maxStatePage }), after: after ?? null }
        lists.reserve(page.first)
        return (await loaders.member(ledgerState, page).load(moment)) ?? { records: [], hasMore: false }
      },
      missing: (moment, { required }, { loaders }) => loaders.member(ledgerMissing, required).load(moment),
    },
    Record: {
      private: async (record, _, { principal, loaders }) => {
        authorize(principal, 'private.read', record.companyId)
        const part = await loaders.get(privatePart).load(record)
        return part === null ? null : { subject: part.subject, data: parseJsonText(part.data) }
      },
      proof: (record, _, { loaders }) => loaders.get(recordProof).load(record),
    },
  }
}

function parsed({ kind, version, schema }: { kind: string; version: number; schema: string }) {
  return { kind, version, schema: parseJsonText(schema) }
}

function jsonObject(value: unknown, path: string): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('BAD_USER_INPUT', 'A JSON object is needed here.', { details: { path } })
  }
  return value as JsonObject
}

import type { CompanyId } from '../core/ids.ts'
import {
  type LedgerAt,
  type LedgerMoment,
  type LedgerStatePage,
  missingStreams,
  type Moment,
  readMoments,
  readStates,
} from '../ledger/as-of.ts'
import { readCheckpoints } from '../ledger/checkpoints/read.ts'
import type { StoredCheckpoint } from '../ledger/checkpoints/signer.ts'
import { type ReadPrivatePart, readPrivateParts } from '../ledger/private/read.ts'
import {
  type LedgerHead,
  type PageArguments,
  readHeads,
  readRecordPages,
  readRecords,
  type RecordPage,
} from '../ledger/read.ts'
import type { Proofs } from '../ledger/proofs.ts'
import type { LedgerRecord } from '../ledger/record.ts'
import { readSchemas, type RegisteredSchema } from '../ledger/schemas/register.ts'
import { createLoader, createShardLoader } from './keyed.ts'
import type { LoaderFactory, LoaderFamily } from './registry.ts'

/** Null: the company has no ledger yet. */
export const ledgerHead: LoaderFactory<CompanyId, LedgerHead | null> = (context) =>
  createShardLoader<CompanyId, LedgerHead | null>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: async (sql, ids) => new Map((await readHeads(sql, ids)).map((head) => [head.companyId, head])),
    missing: null,
  })

export interface RecordKey {
  readonly companyId: CompanyId
  readonly position: number
}

const recordText = ({ companyId, position }: RecordKey): string => `${companyId}:${position}`

export const recordByPlace: LoaderFactory<RecordKey, LedgerRecord | null> = (context) =>
  createShardLoader<RecordKey, LedgerRecord | null>(context, {
    companyOf: ({ companyId }) => companyId,
    textOf: recordText,
    load: async (sql, keys) => new Map((await readRecords(sql, keys)).map((record) => [recordText(record), record])),
    missing: null,
  })

/** The same page of many ledgers: loaders of one set of arguments each. */
export const recordPage: LoaderFamily<PageArguments, CompanyId, RecordPage | null> = (context, args) =>
  createShardLoader<CompanyId, RecordPage | null>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: async (sql, ids) => new Map((await readRecordPages(sql, ids, args)).map((page) => [page.companyId, page])),
    missing: null,
  })

/** By the least size it has to have; null: the newest. */
export const ledgerCheckpoint: LoaderFamily<number | null, CompanyId, StoredCheckpoint | null> = (context, atLeast) =>
  createShardLoader<CompanyId, StoredCheckpoint | null>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: async (sql, ids) => {
      const found = await readCheckpoints(
        sql,
        ids.map((companyId) => ({ companyId, atLeast })),
      )
      return new Map(found.map((checkpoint) => [checkpoint.companyId, checkpoint]))
    },
    missing: null,
  })

export const ledgerSchemas: LoaderFactory<CompanyId, readonly RegisteredSchema[]> = (context) =>
  createShardLoader<CompanyId, readonly RegisteredSchema[]>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: async (sql, ids) => Map.groupBy(await readSchemas(sql, ids), ({ companyId }) => companyId),
    missing: [],
  })

/** Opened with the deployment's wrapping key: a loader for each that is made. */
export function privatePartWith(wrappingKey: Buffer): LoaderFactory<RecordKey, ReadPrivatePart | null> {
  return (context) =>
    createShardLoader<RecordKey, ReadPrivatePart | null>(context, {
      companyOf: ({ companyId }) => companyId,
      textOf: recordText,
      load: async (sql, keys) =>
        new Map((await readPrivateParts(sql, wrappingKey, keys)).map((part) => [recordText(part), part])),
      missing: null,
    })
}

/** Made with the signer of the deployment's proofs: a loader for each that is made. */
export function recordProofWith(proofs: Proofs): LoaderFactory<RecordKey, string | null> {
  return (context) =>
    createLoader<RecordKey, string | null>(context, recordText, (keys) => proofs.recordProofs(keys, context.scope))
}

export function consistencyProofWith(
  proofs: Proofs,
): LoaderFamily<{ from: number; to: number }, CompanyId, Uint8Array[]> {
  return (context, sizes) =>
    createLoader<CompanyId, Uint8Array[]>(
      context,
      (id) => id,
      (ids) => proofs.consistencyProofs(ids, sizes, context.scope),
    )
}

/** Null: there is no record at that position. */
export const ledgerMoment: LoaderFamily<Moment, CompanyId, LedgerMoment | null> = (context, moment) =>
  createShardLoader<CompanyId, LedgerMoment | null>(context, {
    companyOf: (id) => id,
    textOf: (id) => id,
    load: async (sql, ids) => new Map((await readMoments(sql, ids, moment)).map((found) => [found.companyId, found])),
    missing: null,
  })

const momentText = ({ companyId, size }: LedgerAt): string => `${companyId}@${size}`

export const ledgerState: LoaderFamily<{ first: number; after: string | null }, LedgerAt, LedgerStatePage | null> = (
  context,
  page,
) =>
  createShardLoader<LedgerAt, LedgerStatePage | null>(context, {
    companyOf: ({ companyId }) => companyId,
    textOf: momentText,
    load: async (sql, moments) =>
      new Map((await readStates(sql, moments, page)).map((state) => [momentText(state), state])),
    missing: null,
  })

export const ledgerMissing: LoaderFamily<readonly string[], LedgerAt, readonly string[]> = (context, required) =>
  createShardLoader<LedgerAt, readonly string[]>(context, {
    companyOf: ({ companyId }) => companyId,
    textOf: momentText,
    load: async (sql, moments) =>
      new Map((await missingStreams(sql, moments, required)).map((found) => [momentText(found), found.missing])),
    missing: [],
  })

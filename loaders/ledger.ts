import type { CompanyId } from '../core/ids.ts'
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
import type { LedgerRecord } from '../ledger/record.ts'
import { readSchemas, type RegisteredSchema } from '../ledger/schemas/register.ts'
import { createShardLoader } from './keyed.ts'
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

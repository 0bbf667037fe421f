import type { CompanyId } from '../core/ids.ts'
import {
  type LedgerHead,
  type PageArguments,
  readHeads,
  readRecordPages,
  readRecords,
  type RecordPage,
} from '../ledger/read.ts'
import type { LedgerRecord } from '../ledger/record.ts'
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

import { randomBytes } from 'node:crypto'
import type { Sql } from 'postgres'
import type { CompanyId } from '../../core/ids.ts'
import { headerText } from '../../ledger/entry.ts'
import type { NewRecord } from '../../ledger/ledger.ts'

/** The rows of every case, and the insert that they are compared with. */

const at = '2026-11-21T08:00:00.000Z'

/** Trades of about 300 bytes, ten a stream. */
export function makeRecord(i: number): NewRecord {
  return {
    kind: 'trade.executed',
    source: 'otc-desk',
    stream: `trade/${Math.floor(i / 10)}`,
    occurredAt: at,
    data: {
      buyer: 'Acme Corporation',
      currency: 'EUR',
      legs: [{ notional: 1000 + i, rate: 1.25 }],
      note: 'Free text of about a hundred characters, as people write it when they book a trade by hand.',
      quantity: i,
      seller: 'Umbrella GmbH',
      tags: ['otc', 'spot', 'manual'],
    },
  }
}

/** About 16 kB of canonical JSON, which the ledger stores compressed. */
export function makeLargeRecord(i: number): NewRecord {
  const legs = Array.from({ length: 160 }, (_, n) => ({
    counterparty: `Umbrella GmbH ${(i * 31 + n) % 97}`,
    notional: 1000 + ((i * 7919 + n * 104_729) % 1_000_003),
    rate: 1.25,
    settles: '2026-11-23',
  }))
  return { ...makeRecord(i), data: { legs } }
}

/** With a personal part of about 60 bytes, of one of a hundred people. */
export function makePrivateRecord(i: number): NewRecord {
  const subject = `person-${i % 100}`
  return { ...makeRecord(i), private: { subject, data: { mail: `${subject}@example.com`, name: 'Ada Example' } } }
}

/**
 * One `insert … select unnest(…)`; hashes are random bytes. A private part is random bytes as long as the encrypted one.
 */
export async function insertRaw(
  raw: Sql,
  table: string,
  companyId: CompanyId,
  records: readonly NewRecord[],
  from: number,
): Promise<void> {
  const count = records.length
  const hashes = () => {
    const bytes = randomBytes(32 * count)
    return `{${records.map((_, i) => `"\\\\x${bytes.toString('hex', i * 32, i * 32 + 32)}"`).join(',')}}`
  }
  const positions = `{${records.map((_, i) => from + i).join(',')}}`
  const withPrivate = records.some((record) => record.private != null)
  const sealed = (record: NewRecord): string | null => {
    if (record.private == null) return null
    return `"\\\\x${randomBytes(60 + JSON.stringify(record.private.data).length).toString('hex')}"`
  }
  const header = (record: NewRecord, i: number) =>
    headerText({ kind: record.kind, source: record.source, stream: record.stream, version: i, recordedAt: at })
  await raw.unsafe(
    `insert into ${table} (company_id, position, batch_id, kind, source, stream, version, recorded_at, header, data, salt,
      data_commitment, leaf, previous_leaf, private, private_subject, private_commitment)
    select $1, unnest($2::text::bigint[]), $3, unnest($4::text[]), unnest($5::text[]), unnest($6::text[]),
      unnest($2::text::bigint[]), $7, unnest($8::text[]), unnest($9::text[]), unnest($10::text::bytea[]),
      unnest($11::text::bytea[]), unnest($12::text::bytea[]), unnest($13::text::bytea[]),
      unnest($14::text::bytea[]), unnest($15::text[]), unnest($16::text::bytea[])`,
    [
      companyId,
      positions,
      from,
      records.map(({ kind }) => kind),
      records.map(({ source }) => source),
      records.map(({ stream }) => stream),
      at,
      records.map(header),
      records.map(({ data }) => JSON.stringify(data)),
      hashes(),
      hashes(),
      hashes(),
      hashes(),
      withPrivate ? `{${records.map((record) => sealed(record) ?? 'null').join(',')}}` : nulls(count),
      records.map((record) => record.private?.subject ?? null),
      withPrivate ? hashes() : nulls(count),
    ],
    { prepare: true },
  )
}

const nulls = (count: number): string => `{${Array.from({ length: count }, () => 'null').join(',')}}`

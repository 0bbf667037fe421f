import type { CompanyId } from '../core/ids.ts'
import { commitment, leafOf, originOf, textHash, zeroHash } from '../ledger/entry.ts'
import { unpack } from '../ledger/pack.ts'
import type { ShardSql } from '../store/store.ts'
import type { RelationshipId } from './relationship.ts'
import { streamOf } from './relationship-records.ts'

/** A record in the stream of a relationship. */
export interface StreamRecord {
  readonly position: number
  readonly kind: string
  readonly data: string | null
  readonly leaf: Buffer
  /** What is stored has this leaf: header, data and place were hashed again. */
  readonly sound: boolean
}

interface Row {
  place: number
  company_id: CompanyId
  position: number
  kind: string
  header: string
  data: string | null
  packed: Buffer | null
  salt: Buffer | null
  data_commitment: Buffer
  private_commitment: Buffer | null
  leaf: Buffer
  previous_leaf: Buffer
}

/** At most this many of a stream's latest records. */
export const maxRecords = 100

/**
 * What the ledgers of a shard's companies hold of relationships: one statement for any number of them. Oldest first;
 * index: the ledger's on streams.
 */
export async function readRelationshipStreams<K extends { companyId: CompanyId; id: RelationshipId }>(
  sql: ShardSql,
  deployment: string,
  keys: readonly K[],
): Promise<Map<K, StreamRecord[]>> {
  const rows = await sql<Row[]>`
    select k.place::int, r.*
    from unnest(
      ${keys.map(({ companyId }) => companyId as string)}::text[], ${keys.map(({ id }) => streamOf(id))}::text[]
    ) with ordinality as k(company_id, stream, place)
    cross join lateral (
      select company_id, position, kind, header, data, packed, salt, data_commitment, private_commitment, leaf,
        previous_leaf
      from ledger_records
      where company_id = k.company_id and stream = k.stream
      order by version desc limit ${maxRecords}
    ) r
    order by r.position`
  const byPlace = Map.groupBy(rows, ({ place }) => place)
  return new Map(keys.map((key, i) => [key, (byPlace.get(i + 1) ?? []).map((row) => recordOf(row, deployment))]))
}

function recordOf(row: Row, deployment: string): StreamRecord {
  const { position, kind, leaf, salt } = row
  const data = row.packed === null ? row.data : unpack(row.packed)
  const isCommitted = data === null || salt === null || commitment(salt, data).equals(row.data_commitment)
  const again = leafOf({
    origin: originOf(deployment, row.company_id),
    position,
    previousLeaf: row.previous_leaf,
    headerHash: textHash(row.header),
    dataCommitment: row.data_commitment,
    privateCommitment: row.private_commitment ?? zeroHash,
  })
  return { position, kind, data, leaf, sound: isCommitted && again.equals(leaf) }
}

import { AppError, listTooLong } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Store, StoreScope } from '../store/store.ts'
import type { RelationshipId } from './relationship.ts'
import type { RelationshipStatus } from './relationship-rules.ts'

/** A relationship as everybody in the network may see it: who with whom, not on which terms. */
export interface NetworkEdge {
  readonly id: RelationshipId
  readonly buyer: CompanyId
  readonly seller: CompanyId
  readonly kind: string
  readonly status: RelationshipStatus
}

export interface Neighbourhood {
  /** With how many steps it is away; the company itself first, with 0. */
  readonly nodes: readonly { readonly id: CompanyId; readonly distance: number }[]
  /** Every relationship among the nodes, once. */
  readonly edges: readonly NetworkEdge[]
  /** More is there than the limit shows. */
  readonly truncated: boolean
}

const maxDepth = 3
const maxNodes = 500
const maxEdges = 5_000

/**
 * What is around a company, for drawing: breadth first, one statement a shard a step, and one a shard for the edges.
 * Where there is more than `limit` shows, the nearest come first and, as near, those with the smaller id.
 * @throws AppError LIST_TOO_LONG | BAD_USER_INPUT | SHARD_UNAVAILABLE
 */
export async function readNeighbourhood(
  store: Store,
  center: CompanyId,
  { depth, limit }: { depth: number; limit: number },
  scope?: StoreScope,
): Promise<Neighbourhood> {
  if (depth < 1 || depth > maxDepth) throw new AppError('BAD_USER_INPUT', `depth: 1 to ${maxDepth}`)
  if (limit > maxNodes) {
    throw listTooLong(`A neighbourhood shows at most ${maxNodes} companies.`, maxNodes)
  }
  if (limit < 1) throw new AppError('BAD_USER_INPUT', 'limit: at least 1')
  const distances = new Map<CompanyId, number>([[center, 0]])
  let truncated = false
  let frontier = [center]
  for (let distance = 1; distance <= depth && frontier.length > 0 && distances.size < limit; distance++) {
    const found = new Set<CompanyId>()
    for (const partners of await perShard(
      store,
      frontier,
      scope,
      (sql, ids) => sql<{ partner_id: CompanyId }[]>`
      select distinct r.partner_id
      from relationships r
      where r.company_id = any(${[...ids]}) and r.status in ('ACTIVE', 'SUSPENDED')
        and r.partner_id <> all(${[...distances.keys()]}::text[])
      order by r.partner_id limit ${limit + 1}`,
    )) {
      for (const { partner_id } of partners) found.add(partner_id)
    }
    // Ids are ASCII: this is byte order.
    const next = [...found].sort()
    frontier = next.slice(0, limit - distances.size)
    truncated ||= next.length > frontier.length
    for (const id of frontier) distances.set(id, distance)
  }
  const ids = [...distances.keys()]
  const edges = await perShard(
    store,
    ids,
    scope,
    (sql, own) => sql<NetworkEdge[]>`
    select relationship_id as id, company_id as buyer, partner_id as seller, kind, status
    from relationships
    where company_id = any(${[...own]}) and role = 'BUYER' and partner_id = any(${ids})
      and status in ('ACTIVE', 'SUSPENDED')
    order by relationship_id limit ${maxEdges + 1}`,
  )
  const all = edges.flat()
  return {
    nodes: [...distances].map(([id, distance]) => ({ id, distance })),
    edges: all.slice(0, maxEdges),
    truncated: truncated || all.length > maxEdges,
  }
}

async function perShard<T>(
  store: Store,
  companyIds: readonly CompanyId[],
  scope: StoreScope | undefined,
  read: (sql: Parameters<Parameters<Store['read']>[1]>[0], ids: readonly CompanyId[]) => Promise<T[]>,
): Promise<T[][]> {
  const results = await store.read(companyIds, read, scope)
  return results.map((result) => {
    if (!result.ok) throw result.error
    return result.value
  })
}

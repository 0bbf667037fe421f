import { AppError, listTooLong } from '../core/errors.ts'
import type { CompanyId, ShardId } from '../core/ids.ts'
import type { ShardSql, Store, StoreScope } from '../store/store.ts'
import { isAway, partialScope } from './merge.ts'
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
  /** Shards that were to be asked and did not answer, where that is allowed: what only they know is not shown. */
  readonly missing: readonly ShardId[]
}

const maxDepth = 3
const maxNodes = 500
const maxEdges = 5_000
/** Of neighbourhoods that are read together; more are read after them. */
const maxNodesAtOnce = 5_000

/** How far a neighbourhood goes, the same for every company of a batch. */
export interface NeighbourhoodSize {
  readonly depth: number
  readonly limit: number
  /** Other shards than the company's own that cannot be reached are left out and named; else one of them fails it. */
  readonly allowPartial?: boolean
}

/** @throws AppError LIST_TOO_LONG | BAD_USER_INPUT */
export function parseNeighbourhoodSize(given: {
  readonly depth?: number | null | undefined
  readonly limit?: number | null | undefined
  readonly allowPartial?: boolean | null | undefined
}): NeighbourhoodSize {
  const depth = given.depth ?? 1
  const limit = given.limit ?? 50
  if (depth < 1 || depth > maxDepth) throw new AppError('BAD_USER_INPUT', `depth: 1 to ${maxDepth}`)
  if (limit > maxNodes) throw listTooLong(`A neighbourhood shows at most ${maxNodes} companies.`, maxNodes)
  if (limit < 1) throw new AppError('BAD_USER_INPUT', 'limit: at least 1')
  return { depth, limit, allowPartial: given.allowPartial === true }
}

/**
 * What is around each of many companies, for drawing: breadth first, one statement a shard a step, and one a shard for the
 * edges, for all of them together. Where there is more than `limit` shows, the nearest come first and, as near, those with
 * the smaller id. A failed shard fails those that have companies there; where a partial answer is allowed, only those whose
 * own it is.
 */
export async function readNeighbourhoods(
  store: Store,
  centers: readonly CompanyId[],
  size: NeighbourhoodSize,
  scope: StoreScope = {},
): Promise<(Neighbourhood | AppError)[]> {
  const atOnce = Math.max(1, Math.floor(maxNodesAtOnce / size.limit))
  const limited = size.allowPartial === true ? partialScope(scope) : scope
  const found: (Neighbourhood | AppError)[] = []
  for (let from = 0; from < centers.length; from += atOnce) {
    found.push(...(await readTogether(store, centers.slice(from, from + atOnce), size, limited)))
  }
  return found
}

/** A neighbourhood while it is being read. */
interface Growing {
  readonly distances: Map<CompanyId, number>
  frontier: readonly CompanyId[]
  truncated: boolean
  failure: AppError | null
  readonly missing: Set<ShardId>
}

async function readTogether(
  store: Store,
  centers: readonly CompanyId[],
  { depth, limit, allowPartial = false }: NeighbourhoodSize,
  scope: StoreScope,
): Promise<(Neighbourhood | AppError)[]> {
  const all = centers.map((center): Growing => ({
    distances: new Map([[center, 0]]),
    frontier: [center],
    truncated: false,
    failure: null,
    missing: new Set(),
  }))
  for (let distance = 1; distance <= depth; distance++) {
    const open = all.filter(({ frontier, truncated, failure }) => frontier.length > 0 && !truncated && failure === null)
    if (open.length === 0) break
    // Those already known come too, and are taken out here.
    const most = limit + 1 + Math.max(...open.map(({ distances }) => distances.size))
    const steps = await perShard(
      store,
      open,
      ({ frontier }) => frontier,
      // Of a company whose own shard is away nothing is known.
      { ...scope, allowPartial: allowPartial && distance > 1 },
      (sql, own) => readPartnersOfGroups(sql, own, most),
    )
    for (const growing of open) {
      const partners = new Set((steps.get(growing) ?? []).map(({ partner_id }) => partner_id))
      // Ids are ASCII: this is byte order.
      const next = [...partners.difference(growing.distances)].sort()
      growing.frontier = next.slice(0, limit - growing.distances.size)
      growing.truncated = next.length > growing.frontier.length
      for (const id of growing.frontier) growing.distances.set(id, distance)
    }
  }
  const everyone = pairsOf(all, nodesOf)
  const edges = await perShard(store, all, nodesOf, { ...scope, allowPartial }, (sql, own) =>
    readEdgesAmong(sql, own, everyone, allowPartial),
  )
  return all.map((growing) => {
    if (growing.failure !== null) return growing.failure
    const found = new Map((edges.get(growing) ?? []).map((edge) => [edge.id, edge]))
    const among = [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
    return {
      nodes: [...growing.distances].map(([id, distance]) => ({ id, distance })),
      edges: among.slice(0, maxEdges),
      truncated: growing.truncated || among.length > maxEdges,
      missing: [...growing.missing],
    }
  })
}

const nodesOf = ({ distances }: Growing): readonly CompanyId[] => [...distances.keys()]

/** Companies and whose they are: the place of the neighbourhood in the batch. */
interface Pairs {
  readonly places: number[]
  readonly ids: CompanyId[]
}

function pairsOf(all: readonly Growing[], idsOf: (growing: Growing) => readonly CompanyId[]): Pairs {
  const pairs: Pairs = { places: [], ids: [] }
  for (const [place, growing] of all.entries()) {
    if (growing.failure !== null) continue
    for (const id of idsOf(growing)) {
      pairs.places.push(place)
      pairs.ids.push(id)
    }
  }
  return pairs
}

/** Asks each shard once for the companies that lie there. One that fails fails the neighbourhoods that asked it, or is missing. */
async function perShard<T extends { readonly place: number }>(
  store: Store,
  all: readonly Growing[],
  idsOf: (growing: Growing) => readonly CompanyId[],
  { allowPartial, ...scope }: StoreScope & { readonly allowPartial: boolean },
  read: (sql: ShardSql, own: Pairs) => Promise<readonly T[]>,
): Promise<Map<Growing, T[]>> {
  const { places, ids } = pairsOf(all, idsOf)
  const placesOf = Map.groupBy(places.keys(), (at) => ids[at])
  const ownOf = (companyIds: readonly CompanyId[]): Pairs => {
    const own = companyIds.flatMap((id) => placesOf.get(id) ?? [])
    return { places: own.map((at) => places[at] ?? 0), ids: own.flatMap((at) => ids[at] ?? []) }
  }
  const results = await store.read([...new Set(ids)], (sql, companyIds) => read(sql, ownOf(companyIds)), scope)
  const rows = new Map<Growing, T[]>(all.map((growing) => [growing, []]))
  for (const result of results) {
    if (result.ok) {
      for (const row of result.value) rows.get(all[row.place] as Growing)?.push(row)
    } else {
      for (const place of ownOf(result.companyIds).places) {
        const growing = all[place] as Growing
        if (allowPartial && isAway(result.error)) growing.missing.add(result.shard)
        else growing.failure ??= result.error
      }
    }
  }
  return rows
}

const grouped = (sql: ShardSql, { places, ids }: Pairs) => sql`(
  select f.place, array_agg(f.id) as ids from unnest(${places}::int[], ${ids}::text[]) as f (place, id) group by f.place
)`

/** The agreed partners of each group of companies, at most `most` of each; index: `relationships_by_partner`. */
function readPartnersOfGroups(sql: ShardSql, own: Pairs, most: number) {
  return sql<{ place: number; partner_id: CompanyId }[]>`
    select g.place, p.partner_id
    from ${grouped(sql, own)} g
    cross join lateral (
      select distinct r.partner_id from relationships r
      where r.company_id = any(g.ids) and r.status in ('ACTIVE', 'SUSPENDED')
      order by r.partner_id limit ${most}
    ) p`
}

/**
 * What is agreed between each group's own companies, as buyers, and all of the group; index: `relationships_by_partner`.
 * Where shards may be missing also as sellers to companies of other shards: those edges come from both.
 */
function readEdgesAmong(sql: ShardSql, own: Pairs, everyone: Pairs, asSellers: boolean) {
  const sides = asSellers ? sql`(r.role = 'BUYER' or r.partner_id <> all(g.ids))` : sql`r.role = 'BUYER'`
  return sql<(NetworkEdge & { place: number })[]>`
    select g.place, e.*
    from ${grouped(sql, own)} g
    join ${grouped(sql, everyone)} n on n.place = g.place
    cross join lateral (
      select
        r.relationship_id as id, r.kind, r.status,
        case r.role when 'BUYER' then r.company_id else r.partner_id end as buyer,
        case r.role when 'BUYER' then r.partner_id else r.company_id end as seller
      from relationships r
      where r.company_id = any(g.ids) and ${sides} and r.partner_id = any(n.ids)
        and r.status in ('ACTIVE', 'SUSPENDED')
      order by r.relationship_id limit ${maxEdges + 1}
    ) e`
}

import postgres from 'postgres'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseCompanyId } from '../../core/ids.ts'
import { encodeCursor } from '../../network/merge.ts'
import { parseListing, readRelationshipPages, type RelationshipOrder } from '../../network/read-relationships.ts'
import type { ShardSql } from '../../store/store.ts'
import { acquireShards } from '../support/postgres.ts'

/** As many as the busiest trader of the demo network has. */
const edgeCount = 1_298
const pageLength = 20
const hub = parseCompanyId('hub')

let databases: Awaited<ReturnType<typeof acquireShards>>
let sql: ShardSql
/** What was sent last. */
let sent: { text: string; parameters: unknown[] }
beforeAll(async () => {
  databases = await acquireShards({ count: 1 })
  sql = postgres(databases.shards[0]?.primaryUrl ?? '', {
    max: 1,
    onnotice() {},
    debug: (_connection, text, parameters) => (sent = { text, parameters }),
  })
  // Few ratings and many times the same moment: the worst for a cursor.
  await sql`
    insert into relationships (company_id, relationship_id, partner_id, role, kind, status, invited_by, rating, invited_at,
      updated_at, clock, last_clock, last_actor)
    select c.id, c.id || '~p' || n || '~trade', 'p' || n, 'BUYER', 'trade', 'ACTIVE', c.id, n % 21 - 10,
      '2026-01-0' || 1 + n % 3, '2026-02-0' || 1 + n % 3, 1, 1, c.id
    from generate_series(1, ${edgeCount}) as n, (values ('hub'), ('other')) as c (id)`
  await sql`
    insert into companies (company_id, name, sort_name, created_at, updated_at, search)
    select c.id, c.id, c.id, '2026-01-01', '2026-01-01', '' from (values ('hub'), ('other')) as c (id)`
  await sql`analyze relationships`
})
afterAll(async () => {
  await sql.end()
  await databases[Symbol.asyncDispose]()
})

interface Plan {
  readonly 'Node Type': string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly Plan[]
}
const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]

test.each([
  ['NEWEST', 'relationships_newest'],
  ['OLDEST', 'relationships_by_age'],
  ['RATING', 'relationships_best_rated'],
] as [RelationshipOrder, string][])(
  'a page of a hub by %s begins at its cursor in the index, reads no more than itself and sorts nothing',
  async (orderBy, index) => {
    const seen: string[] = []
    for (let after: string | null = null; ;) {
      const pages = await readRelationshipPages(sql, [hub], parseListing({ first: pageLength, after, orderBy }))
      const { text, parameters } = sent
      const [explained] = await sql.unsafe<{ 'QUERY PLAN': [{ Plan: Plan }] }[]>(
        `explain (analyze, format json) ${text}`,
        parameters as never[],
      )
      const limit = nodesOf(explained!['QUERY PLAN'][0].Plan).find((node) => node['Node Type'] === 'Limit')
      const nodes = limit === undefined ? [] : nodesOf(limit)
      expect(nodes.map((node) => node['Node Type']).filter((type) => /Sort|Bitmap|Seq/.test(type))).toEqual([])
      const scan = nodes.find((node) => node['Index Name'] === index)
      expect(scan?.['Actual Rows']).toBeLessThanOrEqual(pageLength + 1)
      expect(scan?.['Rows Removed by Filter'] ?? 0).toBe(0)
      const page = pages.get(hub)?.page
      seen.push(...(page?.edges ?? []).map(({ node }) => node.id))
      if (page?.hasNextPage !== true) break
      after = page.edges.at(-1)?.cursor ?? null
    }
    expect(seen).toHaveLength(edgeCount)
    expect(new Set(seen).size).toBe(edgeCount)
  },
)

test.each([
  ['RATING', 1e300],
  ['RATING', 1.5],
  ['RATING', '1'],
  ['NEWEST', 'a\0b'],
  ['NEWEST', '\ud800'],
] as [RelationshipOrder, string | number][])(
  'a forged cursor is refused before the shard sees it: %s, %j',
  (orderBy, key) => {
    const after = encodeCursor([orderBy, key, 'hub~p1~trade'])
    expect(() => parseListing({ after, orderBy })).toThrow(expect.objectContaining({ code: 'INVALID_CURSOR' }))
  },
)

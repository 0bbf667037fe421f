import { parse } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import type { SubgraphExecutor } from '../../core/subgraph-executor.ts'
import { createFederatedGateway } from '../../gateway/executor/gateway.ts'
import { createSharing } from '../../gateway/executor/sharing.ts'
import { textSource } from '../../gateway/planner/supergraph-source.ts'
import { createRoute } from '../../gateway/transport/route.ts'
import { supergraphSdl, type SubgraphName } from '../../schema/sdl.ts'
import { admin, createSubgraphWorld, requestContext, type SubgraphWorld } from './world.ts'

let world: SubgraphWorld
const ids = Array.from({ length: 24 }, (_, i) => parseCompanyId(`listed-${String(i).padStart(2, '0')}`))
beforeAll(async () => {
  world = await createSubgraphWorld({ shardCount: 3 })
  for (const id of ids) await world.companies.create({ id, name: id }, {})
})
afterAll(() => world[Symbol.asyncDispose]())

interface Page {
  readonly ids: readonly string[]
  readonly endCursor: string | null
  readonly codes: readonly unknown[]
  readonly partial: unknown
}

const transports: Record<string, () => SubgraphExecutor & AsyncDisposable> = {
  'in process': () =>
    Object.assign<SubgraphExecutor, AsyncDisposable>(
      (request, signal) => world.hosts[request.subgraph as SubgraphName].execute(request, signal),
      { [Symbol.asyncDispose]: async () => {} },
    ),
  'over HTTP': () => {
    const sharing = createSharing({ queries: false, reads: true })
    const authorize = async (): Promise<string> => `Bearer ${await world.signer.sign(admin)}`
    const route = createRoute({ urls: Object.fromEntries(world.urls), http: () => ({ sharing, authorize }) })
    return Object.assign<SubgraphExecutor, AsyncDisposable>((request, signal) => route.execute(request, signal), route)
  },
}

describe.each(Object.entries(transports))('while a shard is down, a list of companies %s', (_name, open) => {
  async function withGateway(use: (page: (args: string) => Promise<Page>) => Promise<void>): Promise<void> {
    await using executor = open()
    await using gateway = createFederatedGateway({
      supergraph: textSource(supergraphSdl()),
      logger: silentLogger,
      executor,
      sharing: createSharing({ queries: true, reads: false }),
    })
    await gateway.load()
    await use(async (args) => {
      const document = parse(`{ companies(${args}) { nodes { id } pageInfo { endCursor } } }`)
      const { data, errors = [], extensions } = await gateway.execute({ document, context: requestContext(admin) })
      const page = data?.['companies'] as { nodes: { id: string }[]; pageInfo: { endCursor: string } } | undefined
      return {
        ids: (page?.nodes ?? []).map(({ id }) => id),
        endCursor: page?.pageInfo.endCursor ?? null,
        codes: errors.map((error) => error.extensions['code']),
        partial: extensions?.['partial'],
      }
    })
  }

  test('fails, or is the other shards’ where that is allowed, and says whose part is missing to all who share it', () =>
    withGateway(async (page) => {
      const away = world.store.shardOf(ids[0] as CompanyId)
      const there = ids.filter((id) => world.store.shardOf(id) !== away)
      const cable = world.cableTo(away)
      await cable.cut()
      try {
        expect(await page('first: 50')).toMatchObject({ ids: [], codes: ['SHARD_UNAVAILABLE'], partial: undefined })
        const answers = await Promise.all(Array.from({ length: 5 }, () => page('first: 50, allowPartial: true')))
        for (const answer of answers) {
          expect(answer).toMatchObject({ ids: there, codes: [], partial: { shards: [away] } })
        }
      } finally {
        await cable.mend()
      }
      await expect
        .poll(() => page('first: 50, allowPartial: true'))
        .toMatchObject({
          ids,
          partial: undefined,
        })
    }))

  test('goes on behind a partial page’s cursor with all that comes after it, and again from before it with the rest', () =>
    withGateway(async (page) => {
      const away = world.store.shardOf(ids[3] as CompanyId)
      const cable = world.cableTo(away)
      await cable.cut()
      let part: Page
      try {
        part = await page('first: 6, allowPartial: true')
      } finally {
        await cable.mend()
      }
      expect(part.partial).toEqual({ shards: [away] })
      expect(part.ids).toHaveLength(6)
      expect(part.ids.some((id) => world.store.shardOf(id as CompanyId) === away)).toBe(false)
      const last = ids.indexOf(part.ids.at(-1) as CompanyId)
      await expect
        .poll(() => page(`first: 50, after: "${part.endCursor}"`))
        .toMatchObject({ ids: ids.slice(last + 1), codes: [] })
      expect((await page(`first: ${last + 1}`)).ids).toEqual(ids.slice(0, last + 1))
    }))
})

test('with every shard down there is no part to give', async () => {
  const cables = world.store.shards.map((shard) => world.cableTo(shard))
  for (const cable of cables) await cable.cut()
  try {
    const { codes } = await world.inProcess('companies', '{ companies(allowPartial: true) { nodes { id } } }')
    expect(codes).toEqual(['SHARD_UNAVAILABLE'])
  } finally {
    for (const cable of cables) await cable.mend()
  }
  const codes = async () => (await world.inProcess('companies', '{ companies { nodes { id } } }')).codes
  await expect.poll(codes).toEqual([])
})

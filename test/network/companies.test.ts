import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import { listCompanies } from '../../network/list-companies.ts'
import { compareBytes } from '../../network/merge.ts'
import { readCompanies, readCompaniesByIdentifier } from '../../network/read-companies.ts'
import { putSectors } from '../../network/sectors.ts'
import { createCompanyCommands } from '../../network/companies.ts'
import { createWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld({ shardCount: 3 })
  await putSectors(world.store, [
    { code: 'industrials', name: 'Industrials' },
    { code: 'health-care', name: 'Health Care' },
  ])
})
afterAll(() => world[Symbol.asyncDispose]())

const readBack = (id: CompanyId) => world.store.readOne(id, async (sql) => (await readCompanies(sql, [id]))[0] ?? null)
const kindsOf = (id: CompanyId) =>
  world.store.readOne(id, async (sql) => {
    const rows = await sql<{ kind: string; stream: string; data: string }[]>`
      select kind, stream, data from ledger_records where company_id = ${id} order by position`
    return rows.map(({ kind, stream, data }) => ({ kind, stream, data: JSON.parse(data) as unknown }))
  })

describe('creating and updating', () => {
  test('a company is read back as it was given, and its ledger begins with its profile', async () => {
    const { company } = await world.companies.create(
      {
        name: 'Müller & Söhne',
        identifiers: [
          { scheme: 'symbol', value: 'MUS' },
          { scheme: 'cik', value: '42' },
        ],
        sector: 'industrials',
        seat: 'Köln',
      },
      { actor: 'key:k1' },
    )
    expect(await readBack(company.id)).toEqual(company)
    expect(company).toMatchObject({
      name: 'Müller & Söhne',
      identifiers: [
        { scheme: 'cik', value: '42' },
        { scheme: 'symbol', value: 'MUS' },
      ],
      sector: { code: 'industrials', name: 'Industrials' },
      seat: 'Köln',
      founded: null,
    })
    expect(await kindsOf(company.id)).toEqual([
      {
        kind: 'company.created',
        stream: 'profile',
        data: { name: company.name, identifiers: company.identifiers, sector: 'industrials', seat: 'Köln' },
      },
    ])
  })

  test('an update appends the fields that changed, null clears, and nothing new appends nothing', async () => {
    const { company } = await world.companies.create({ name: 'Before', seat: 'Bonn', founded: '1900' }, {})
    const { company: after } = await world.companies.update(
      company.id,
      { name: 'After', seat: null, founded: '1900', identifiers: [{ scheme: 'symbol', value: 'AFT' }] },
      {},
    )
    expect(after).toMatchObject({ name: 'After', seat: null, founded: '1900' })
    await world.companies.update(company.id, { name: 'After', identifiers: [{ scheme: 'symbol', value: 'AFT' }] }, {})
    expect((await kindsOf(company.id)).slice(1)).toEqual([
      {
        kind: 'company.updated',
        stream: 'profile',
        data: { name: 'After', seat: null, identifiers: [{ scheme: 'symbol', value: 'AFT' }] },
      },
    ])
  })

  test('updates at the same time end in the same order in the row and in the ledger', async () => {
    const { company } = await world.companies.create({ name: 'Start' }, {})
    const names = Array.from({ length: 8 }, (_, i) => `Name ${i}`)
    await Promise.all(names.map((name) => world.companies.update(company.id, { name }, {})))
    const last = (await kindsOf(company.id)).at(-1)
    expect(last?.data).toEqual({ name: (await readBack(company.id))?.name })
  })

  test('an id that is taken is refused, and leaves the ledger as it was', async () => {
    await world.companies.create({ id: 'taken', name: 'First' }, {})
    await expect(world.companies.create({ id: 'taken', name: 'Second' }, {})).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    })
    expect(await kindsOf(parseCompanyId('taken'))).toHaveLength(1)
  })

  test.each([
    ['an id with capitals', { id: 'ABC', name: 'x' }, 'INVALID_ID'],
    ['an empty name', { name: '  ' }, 'BAD_USER_INPUT'],
    ['a name with a line break', { name: 'a\nb' }, 'BAD_USER_INPUT'],
    ['a name that is too long', { name: 'x'.repeat(201) }, 'BAD_USER_INPUT'],
    ['half a surrogate pair', { name: '\ud800' }, 'BAD_USER_INPUT'],
    ['an unknown sector', { name: 'x', sector: 'nowhere' }, 'BAD_USER_INPUT'],
    ['a scheme with a space', { name: 'x', identifiers: [{ scheme: 'a b', value: '1' }] }, 'BAD_USER_INPUT'],
    [
      'too many identifiers',
      { name: 'x', identifiers: Array.from({ length: 21 }, (_, i) => ({ scheme: 'n', value: String(i) })) },
      'LIST_TOO_LONG',
    ],
  ])('%s is refused with a code', async (_, input, code) => {
    await expect(world.companies.create(input, {})).rejects.toMatchObject({ code })
  })

  test('a company that is not there cannot be updated', async () => {
    const nobody = parseCompanyId('nobody')
    await expect(world.companies.update(nobody, { name: 'x' }, {})).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await kindsOf(nobody)).toEqual([])
  })
})

describe('where companies are placed by region', () => {
  test('a company of a region has an id that begins with it, and nothing else will do', async () => {
    const regional = createCompanyCommands({ ledger: world.ledger, regions: ['eu', 'us'] })
    const { company } = await regional.create({ name: 'Regional', region: 'us' }, {})
    expect(company.id).toMatch(/^us\.[0-9a-f-]{36}$/)
    expect((await regional.create({ name: 'Named', region: 'eu', id: 'eu.named' }, {})).company.id).toBe('eu.named')
    for (const [commands, input] of [
      [regional, { name: 'Elsewhere', region: 'eu', id: 'us.named' }],
      [regional, { name: 'Elsewhere', region: 'mars' }],
      [world.companies, { name: 'Elsewhere', region: 'eu' }],
    ] as const) {
      await expect(commands.create(input, {})).rejects.toMatchObject({ code: 'BAD_USER_INPUT' })
    }
  })
})

describe('listing over all shards', () => {
  const names = ['Zeta', 'alpha', 'Élan', 'beta', '3M', 'Omega', 'ßharp', 'delta', 'Ångström', 'eta', '名前', '𝒳']
  beforeAll(async () => {
    for (const [i, name] of names.entries()) {
      const identifiers = [{ scheme: 'listing', value: `L${i}` }]
      await world.companies.create({ name: `${name} listed`, sector: 'health-care', identifiers }, {})
    }
  })

  async function pages(size: number, orderBy: 'NAME' | 'NEWEST' | 'RELEVANCE', search?: string) {
    const found: { id: string; name: string; createdAt: string }[] = []
    for (let after: string | null = null; ;) {
      const page = await listCompanies(world.store, { first: size, after, sector: 'health-care', orderBy, search })
      found.push(...page.edges.map(({ node }) => node))
      if (!page.hasNextPage) return found
      after = page.edges.at(-1)?.cursor ?? null
    }
  }

  test('pages of every size give each company once, by folded name in byte order', async () => {
    const whole = await pages(100, 'NAME')
    expect(whole.map(({ name }) => name.replace(' listed', ''))).toEqual([
      '3M',
      'alpha',
      'Ångström',
      'beta',
      'delta',
      'Élan',
      'eta',
      'Omega',
      'ßharp',
      '𝒳',
      'Zeta',
      '名前',
    ])
    for (const size of [1, 2, 5, 12]) expect(await pages(size, 'NAME')).toEqual(whole)
  })

  test('the latest created come first where that is asked for', async () => {
    const newest = await pages(3, 'NEWEST')
    expect(newest).toHaveLength(names.length)
    const sorted = newest.toSorted((a, b) => -compareBytes(a.createdAt, b.createdAt) || compareBytes(a.id, b.id))
    expect(newest).toEqual(sorted)
  })

  test('a company added behind the cursor while paging comes up, one before it changes nothing', async () => {
    const first = await listCompanies(world.store, { first: 4, sector: 'health-care' })
    await world.companies.create({ name: 'aaa listed late', sector: 'health-care' }, {})
    await world.companies.create({ name: 'zzz listed late', sector: 'health-care' }, {})
    const rest = await listCompanies(world.store, {
      first: 100,
      after: first.edges.at(-1)?.cursor,
      sector: 'health-care',
    })
    const rested = rest.edges.map(({ node }) => node.name)
    expect(rested).toContain('zzz listed late')
    expect(rested).not.toContain('aaa listed late')
    expect(rested).toHaveLength(names.length - 4 + 1)
  })

  test('search finds beginnings of words without case and diacritics, and puts whole words first', async () => {
    await world.companies.create({ name: 'Kölner Omegatron' }, {})
    await world.companies.create({ name: 'Omega Köln' }, {})
    const found = async (search: string) =>
      (await listCompanies(world.store, { first: 10, search })).edges.map(({ node }) => node.name)
    expect(await found('koln')).toEqual(['Omega Köln', 'Müller & Söhne', 'Kölner Omegatron'])
    expect(await found('KÖLNER')).toEqual(['Kölner Omegatron'])
    expect((await found('omega')).slice(0, 2).sort()).toEqual(['Omega Köln', 'Omega listed'])
    expect((await found('omega')).at(2)).toBe('Kölner Omegatron')
    expect(await found('L3')).toEqual(['beta listed'])
    expect(await found('名')).toEqual(['名前 listed'])
    expect(await found("'; drop table companies; --")).toEqual([])
    expect(await found('!!!')).toEqual([])
  })

  test('what is searched for goes through pages in one order', async () => {
    const whole = await pages(100, 'RELEVANCE', 'listed')
    expect(whole.length).toBeGreaterThan(names.length)
    for (const size of [1, 3, 7]) expect(await pages(size, 'RELEVANCE', 'listed')).toEqual(whole)
  })

  test.each([
    ['too long a page', { first: 101 }, 'LIST_TOO_LONG'],
    ['a negative page', { first: -1 }, 'BAD_USER_INPUT'],
    ['a cursor of nobody', { first: 1, after: 'xyz' }, 'INVALID_CURSOR'],
    ['relevance without a search', { first: 1, orderBy: 'RELEVANCE' as const }, 'BAD_USER_INPUT'],
    ['too long a search', { first: 1, search: 'x'.repeat(201) }, 'BAD_USER_INPUT'],
  ])('%s is refused with a code', async (_, listing, code) => {
    await expect(listCompanies(world.store, listing)).rejects.toMatchObject({ code })
  })

  test('a cursor of another order is refused', async () => {
    const page = await listCompanies(world.store, { first: 1 })
    const after = page.edges[0]?.cursor
    await expect(listCompanies(world.store, { first: 1, after, orderBy: 'NEWEST' })).rejects.toMatchObject({
      code: 'INVALID_CURSOR',
    })
  })
})

test('identifiers find their companies on whichever shard they are', async () => {
  const asked = [0, 1, 2, 3, 4].map((i) => ({ scheme: 'listing', value: `L${i}` }))
  const results = await world.store.broadcast((sql) => readCompaniesByIdentifier(sql, asked))
  const found = results.flatMap((result) => (result.ok ? result.value : []))
  expect(found.map(({ identifier }) => identifier.value).sort()).toEqual(['L0', 'L1', 'L2', 'L3', 'L4'])
})

test('sectors are the same on every shard and can be put again', async () => {
  await putSectors(world.store, [{ code: 'energy', name: 'Energie' }])
  await putSectors(world.store, [{ code: 'energy', name: 'Energy' }])
  const copies = await world.store.broadcast((sql) => sql`select code, name from sectors order by code`)
  const [first, ...others] = copies.map((copy) => (copy.ok ? JSON.stringify(copy.value) : 'down'))
  expect(first).toContain('"Energy"')
  expect(new Set([first, ...others]).size).toBe(1)
})

import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseVkey } from '../../ledger/proof/keys.ts'
import { openCheckpoint } from '../../ledger/proof/checkpoint.ts'
import { verifyTlogProof } from '../../ledger/proof/tlog-proof.ts'
import { companyKey, createSubgraphWorld, type SubgraphWorld } from './world.ts'

let world: SubgraphWorld
const company = 'proven'
beforeAll(async () => {
  world = await createSubgraphWorld()
  await world.inProcess(
    'companies',
    `mutation { createCompany(input: { id: "${company}", name: "Proven", identifiers: [] }) { company { id } } }`,
  )
})
afterAll(() => world[Symbol.asyncDispose]())

const ledger = (fields: string) =>
  `{ _entities(representations: [{ __typename: "Company", id: "${company}" }]) { ... on Company { ledger { ${fields} } } } }`

/** A field of the answer, whose type the test knows. */
const part = (answer: { data: object | null }, name: string): unknown => (answer.data as Record<string, unknown>)[name]

const append = `mutation ($records: [NewRecordInput!]!, $expected: [ExpectedVersion!]) {
  appendRecords(input: { companyId: "${company}", records: $records, expected: $expected }) {
    records { id position key private { subject data } proof }
  }
}`

test('a record is appended with a private part and proven to someone who has only the key', async () => {
  const records = [
    { kind: 'a', source: 's', stream: 't', key: 'k', data: {}, private: { subject: 'p', data: { name: 'Ada' } } },
  ]
  const answer = await world.inProcess('records', append, {
    as: companyKey(company),
    variables: { records, expected: [{ stream: 't', version: 'none' }] },
  })
  expect(answer.codes).toEqual([])
  const [record] = (part(answer, 'appendRecords') as { records: Record<string, string>[] }).records
  expect(record).toMatchObject({ key: 'k', private: { subject: 'p', data: { name: 'Ada' } } })
  const about = await world.inProcess(
    'records',
    ledger('vkey size published checkpoint { size note } schemas { kind }'),
  )
  const shown = (part(about, '_entities') as { ledger: { vkey: string; checkpoint: { note: string } } }[])[0]!.ledger
  const verifier = parseVkey(shown.vkey)!
  expect(verifyTlogProof(record!['proof']!, [verifier])).toMatchObject({ kind: 'verified', index: record!['position'] })
  expect(openCheckpoint(shown.checkpoint.note, [verifier]).kind).toBe('verified')
  expect(shown).toMatchObject({ published: false, schemas: [] })
})

test.each([
  ['checkpoint(size: -1) { size }'],
  ['consistencyProof(from: -1, to: 1)'],
  ['consistencyProof(from: 1, to: 0)'],
  ['asOf(position: -1) { size }'],
])('%s is refused: a ledger has no such size or position', async (field) => {
  expect((await world.inProcess('records', ledger(field))).codes).toEqual(['BAD_USER_INPUT'])
})

test('a scope without the right to private parts sees the record and not the person', async () => {
  const records = [
    { kind: 'a', source: 's', stream: 'u', data: {}, private: { subject: 'q', data: { name: 'Eve Example' } } },
  ]
  const answer = await world.inProcess('records', append, {
    as: { ...companyKey(company), scopes: ['ledger.append', 'ledger.read'] } as never,
    variables: { records },
  })
  expect(answer.codes).toEqual(['FORBIDDEN'])
  expect(JSON.stringify(answer.data)).not.toContain('Eve Example')
})

test('a person is erased, the state at a moment is read, a schema registered and the ledger published', async () => {
  const ask = (query: string) => world.inProcess('records', query, { as: companyKey(company) })
  const erased = await ask(`mutation { eraseSubject(input: { companyId: "${company}", subject: "p" }) { positions } }`)
  expect(erased.data).toEqual({ eraseSubject: { positions: [1] } })
  const after = await ask(`{ record(id: "${company}:1") { private { subject } data } }`)
  expect(after.data).toEqual({ record: { private: null, data: {} } })

  const moment = await ask(
    ledger('asOf(position: 1) { size state(first: 10) { hasMore records { stream } } missing(required: ["t", "u"]) }'),
  )
  expect(part(moment, '_entities')).toMatchObject([
    {
      ledger: {
        asOf: { size: 2, state: { hasMore: false, records: [{ stream: 'profile' }, { stream: 't' }] }, missing: ['u'] },
      },
    },
  ])

  const registered = await ask(
    `mutation { registerSchema(input: { companyId: "${company}", kind: "code" }) { schema { kind version } } }`,
  )
  expect(registered.data).toEqual({ registerSchema: { schema: { kind: 'code', version: 1 } } })
  const refused = await world.inProcess('records', append, {
    as: companyKey(company),
    variables: {
      records: [{ kind: 'code', source: 's', stream: 't', data: {} }],
      expected: [{ stream: 't', version: 'any' }],
    },
  })
  expect(refused.codes).toEqual(['SCHEMA_VIOLATION'])

  const published = await ask(
    `mutation { publishLedger(input: { companyId: "${company}", published: true }) { ledger { published size } } }`,
  )
  expect(published.data).toMatchObject({ publishLedger: { ledger: { published: true } } })
  const proof = await ask(ledger('consistencyProof(from: 1, to: 3) vkey vkeys { vkey state }'))
  expect(proof.codes).toEqual([])
  const [{ ledger: keys }] = part(proof, '_entities') as [{ ledger: { vkey: string; vkeys: object[] } }]
  expect(keys.vkeys).toEqual([{ vkey: keys.vkey, state: 'CURRENT' }])
})

test('another company may do none of it', async () => {
  for (const mutation of [
    `eraseSubject(input: { companyId: "${company}", subject: "p" }) { positions }`,
    `eraseRecords(input: { companyId: "${company}", positions: [1] }) { positions }`,
    `publishLedger(input: { companyId: "${company}", published: true }) { position }`,
    `registerSchema(input: { companyId: "${company}", kind: "code" }) { position }`,
  ]) {
    const answer = await world.inProcess('records', `mutation { ${mutation} }`, { as: companyKey('other') })
    expect(answer.codes).toEqual(['FORBIDDEN'])
  }
})

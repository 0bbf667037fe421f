import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAppError } from '../../core/errors.ts'
import type { CompanyId } from '../../core/ids.ts'
import type { ShardTx, Store } from '../../store/store.ts'
import { createWebhooks, readWebhooks } from '../../webhooks/webhooks.ts'
import { createSecretWrapper } from '../../webhooks/wrapping.ts'
import { type Fixture, openFixture, someCompany } from '../support/feed.ts'

let fixture: Fixture
let store: Store
const webhooks = createWebhooks({ wrapper: createSecretWrapper([randomBytes(32)]), allowPrivate: false })
beforeAll(async () => {
  fixture = await openFixture(1)
  store = fixture.store
})
afterAll(() => fixture[Symbol.asyncDispose]())

async function change<T>(companyId: CompanyId, fn: (tx: ShardTx) => Promise<T>): Promise<T> {
  return (await store.transact(companyId, (tx) => fn(tx))).value
}
const create = (companyId: CompanyId, kinds?: string[]) =>
  change(companyId, (tx) =>
    webhooks.create(tx, { companyId, url: 'https://example.com/hook', ...(kinds === undefined ? {} : { kinds }) }),
  )
const open = (companyId: CompanyId, id: string) =>
  store.onPrimary(store.shardOf(companyId), (sql) => webhooks.open(sql, companyId, id))
const codeOf = async (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => 'none',
    (error: unknown) => (isAppError(error) ? error.code : String(error)),
  )

describe('a webhook', () => {
  test('is created with a secret that is shown once and stored as ciphertext', async () => {
    const company = someCompany()
    const { webhook, secret } = await create(company, ['order.placed', 'order.placed'])
    expect(webhook).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      companyId: company,
      url: 'https://example.com/hook',
      kinds: ['order.placed'],
      enabled: true,
      disabledReason: null,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    })
    expect(Math.abs(Date.parse(webhook.createdAt) - Date.now())).toBeLessThan(60_000)
    expect(secret).toMatch(/^whsec_/)
    expect(await open(company, webhook.id)).toEqual({ webhook, secrets: [secret] })
    const [row] = await store.readOne(
      company,
      (sql) => sql`select secret from webhooks where webhook_id = ${webhook.id}`,
    )
    expect((row!['secret'] as Buffer).includes(secret.slice(6, 20))).toBe(false)
  })

  test('gets a new secret beside which the old one signs for a day', async () => {
    const company = someCompany()
    const first = await create(company)
    const second = await change(company, (tx) => webhooks.rotateSecret(tx, company, first.webhook.id))
    expect((await open(company, first.webhook.id))?.secrets).toEqual([second.secret, first.secret])
    await change(
      company,
      (tx) => tx`update webhooks set previous_until = now() - interval '1 s' where company_id = ${company}`,
    )
    expect((await open(company, first.webhook.id))?.secrets).toEqual([second.secret])
  })

  test('is disabled with a reason and enabled again; saying it twice changes nothing', async () => {
    const company = someCompany()
    const { webhook } = await create(company)
    const set = (enabled: boolean, reason?: string) =>
      change(company, (tx) => webhooks.setEnabled(tx, company, webhook.id, enabled, reason))
    const gone = { enabled: false, disabledReason: 'gone' }
    expect(await set(false, 'gone')).toMatchObject({ was: true, webhook: gone })
    expect(await set(false)).toMatchObject({ was: false, webhook: gone })
    expect(await set(true)).toMatchObject({ was: false, webhook: { enabled: true, disabledReason: null } })
  })

  test('of another company is not found', async () => {
    const [company, other] = [someCompany(), someCompany()]
    const { webhook } = await create(company)
    expect(await codeOf(change(other, (tx) => webhooks.rotateSecret(tx, other, webhook.id)))).toBe('NOT_FOUND')
    expect(await codeOf(change(other, (tx) => webhooks.setEnabled(tx, other, webhook.id, false)))).toBe('NOT_FOUND')
    expect(await codeOf(change(other, (tx) => webhooks.remove(tx, other, webhook.id)))).toBe('NOT_FOUND')
    expect(await open(other, webhook.id)).toBe(undefined)
    await change(company, (tx) => webhooks.remove(tx, company, webhook.id))
    expect(await open(company, webhook.id)).toBe(undefined)
  })

  test('is refused where the URL, the kinds or the number of them will not do', async () => {
    const company = someCompany()
    const attempt = (url: string, kinds: string[]) =>
      codeOf(change(company, (tx) => webhooks.create(tx, { companyId: company, url, kinds })))
    expect(await attempt('http://example.com', [])).toBe('BAD_USER_INPUT')
    expect(await attempt('https://example.com', ['no spaces'])).toBe('BAD_USER_INPUT')
    expect(
      await attempt(
        'https://example.com',
        Array.from({ length: 51 }, (_, index) => `k${index}`),
      ),
    ).toBe('LIST_TOO_LONG')
    for (let i = 0; i < 20; i += 1) await create(company)
    expect(await codeOf(create(company))).toBe('LIST_TOO_LONG')
  })
})

test('the webhooks of many companies are read in one statement, oldest first', async () => {
  const [one, two, none] = [someCompany(), someCompany(), someCompany()]
  const created = [await create(one), await create(one), await create(two)].map(({ webhook }) => webhook)
  let statements = 0
  const [result] = await store.read([one, two, none], (sql, ids) => readWebhooks(sql, ids), {
    onStatement: () => (statements += 1),
  })
  expect(statements).toBe(1)
  const read = result?.ok === true ? result.value : new Map()
  expect([read.get(one), read.get(two), read.get(none)]).toEqual([created.slice(0, 2), created.slice(2), undefined])
})

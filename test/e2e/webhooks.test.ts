import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { type HttpReceiver, startReceiver } from '../support/http-receiver.ts'
import { startProduct } from '../support/product.ts'

interface Made {
  readonly webhook: { readonly id: string }
  readonly secret: string
}

/** Throws unless the signature, the time and the body fit. */
function verified({ calls }: HttpReceiver, place: number, secret: string): unknown {
  const { body, headers } = calls[place] ?? { body: '', headers: {} }
  return new Webhook(secret).verify(body, headers as Record<string, string>)
}

test('a company’s webhook over its life: signed, tried again, gone, enabled, with another secret, deleted', async () => {
  await using receiver = await startReceiver()
  await using product = await startProduct()
  const created = await product.graphql<{ createCompany: { company: { id: string } } }>(
    'mutation { createCompany(input: { name: "Acme" }) { company { id } } }',
  )
  const id = created.data?.createCompany.company.id ?? ''
  const made = await product.graphql<{ createApiKey: { key: string } }>(
    'mutation($id: ID!) { createApiKey(input: { companyId: $id, label: "erp" }) { key } }',
    { id },
  )
  const key = made.data?.createApiKey.key ?? ''
  const ask = async <T>(query: string, variables: Record<string, unknown> = {}): Promise<T> => {
    const answer = await product.graphql<T>(query, { id, ...variables }, { authorization: `Bearer ${key}` })
    expect(answer.errors).toBeUndefined()
    return answer.data as T
  }
  const append = (n: number) =>
    ask(
      `mutation($id: ID!, $n: JSON!) { appendRecords(input: { companyId: $id, records: [{ kind: "order/placed:v1", source: "erp", stream: "o", data: { n: $n } }] }) { position } }`,
      { n },
    )
  const webhooks = async () =>
    (
      await ask<{ company: { webhooks: Record<string, unknown>[] } }>(
        'query($id: ID!) { company(id: $id) { webhooks { id enabled disabledReason deliveries(first: 5) { position attempt status error } } } }',
      )
    ).company.webhooks
  const received = (count: number) => expect.poll(() => receiver.calls.length).toBeGreaterThanOrEqual(count)

  const { createWebhook: hook } = await ask<{ createWebhook: Made }>(
    'mutation($id: ID!, $url: String!) { createWebhook(input: { companyId: $id, url: $url, kinds: ["order/placed:v1"] }) { webhook { id } secret } }',
    { url: `${receiver.url}/hook` },
  )
  const of = { hook: hook.webhook.id }
  receiver.answers.push({ status: 500 })
  await append(1)
  await received(2)
  for (const place of [0, 1]) {
    expect(verified(receiver, place, hook.secret)).toMatchObject({ type: 'order/placed:v1', data: { data: { n: 1 } } })
  }
  expect(receiver.calls[0]?.headers['webhook-id']).toBe(receiver.calls[1]?.headers['webhook-id'])
  await expect.poll(webhooks).toEqual([
    {
      id: hook.webhook.id,
      enabled: true,
      disabledReason: null,
      deliveries: [
        { position: 2, attempt: 2, status: 204, error: null },
        { position: 2, attempt: 1, status: 500, error: 'STATUS' },
      ],
    },
  ])

  receiver.answers.push({ status: 410 })
  await append(2)
  await expect.poll(webhooks).toMatchObject([{ enabled: false, disabledReason: 'gone' }])
  await append(3)
  // Who follows the feed has seen it: what decides is how the webhook stands then.
  const behind = async () => {
    const { data } = await product.graphql<{
      feeds: { waiting: number; consumers: { name: string; behind: number }[] }[]
    }>('{ feeds { waiting consumers { name behind } } }')
    return data?.feeds.map(({ waiting, consumers }) => [
      waiting,
      ...consumers.flatMap((consumer) => (consumer.name === 'webhooks' ? [consumer.behind] : [])),
    ])
  }
  await expect.poll(behind).toEqual(Array.from({ length: 3 }, () => [0, 0]))
  const rotate = 'mutation($hook: ID!) { rotateWebhookSecret(id: $hook) { secret } }'
  const { rotateWebhookSecret: next } = await ask<{ rotateWebhookSecret: Made }>(rotate, of)
  const enable =
    'mutation($hook: ID!, $enabled: Boolean!) { setWebhookEnabled(id: $hook, enabled: $enabled) { enabled disabledReason } }'
  expect(await ask(enable, { ...of, enabled: true })).toEqual({
    setWebhookEnabled: { enabled: true, disabledReason: null },
  })
  await append(4)
  // What came while it was disabled is not delivered later.
  await received(4)
  for (const secret of [next.secret, hook.secret]) {
    expect(verified(receiver, 3, secret)).toMatchObject({ data: { data: { n: 4 } } })
  }

  expect(await ask('mutation($hook: ID!) { deleteWebhook(id: $hook) }', of)).toEqual({ deleteWebhook: true })
  expect(await webhooks()).toEqual([])
  const kinds = await ask<{ company: { ledger: { records: { nodes: { kind: string }[] } } } }>(
    'query($id: ID!) { company(id: $id) { ledger { records(first: 50) { nodes { kind } } } } }',
  )
  expect(
    kinds.company.ledger.records.nodes.map(({ kind }) => kind).filter((kind) => kind.startsWith('webhook.')),
  ).toEqual(['webhook.created', 'webhook.disabled', 'webhook.rotated', 'webhook.enabled', 'webhook.deleted'])
})

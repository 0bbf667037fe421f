import { readFileSync } from 'node:fs'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { newWebhookSecret, signWebhook } from '../../webhooks/signing.ts'

/** From the Standard Webhooks repository; the file names its commit and licence. */
const vectors = JSON.parse(readFileSync(new URL('../vectors/standard-webhooks.json', import.meta.url), 'utf8')) as {
  sign: { secret: string; id: string; timestamp: number; payload: string; want: string }[]
  secretsAccepted: string[]
  secretsRejected: string[]
  unpaddedSecrets: { secret: string; equals: string }[]
  signRejects: { timestamp: string }[]
}

const message = { id: 'acme:7', timestampSeconds: Math.floor(Date.now() / 1000), payload: '{"type":"a.b"}' }

describe('a webhook signature', () => {
  test.each(vectors.sign)('of the published vector $id is as published', ({ secret, id, timestamp, payload, want }) => {
    expect(signWebhook([secret], { id, timestampSeconds: timestamp, payload })).toEqual({
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': want,
    })
  })

  test('takes secrets with and without prefix and padding, and refuses empty and short ones', () => {
    const [first, ...others] = vectors.secretsAccepted.map(
      (secret) => signWebhook([secret], message)['webhook-signature'],
    )
    for (const other of others) expect(other).toBe(first)
    for (const { secret, equals } of vectors.unpaddedSecrets) {
      expect(Buffer.from(secret, 'base64')).toEqual(Buffer.from(equals, 'base64'))
    }
    for (const secret of [...vectors.secretsRejected, 'whsec_c2hvcnQ='])
      expect(() => signWebhook([secret], message)).toThrow('24 to 64 bytes')
  })

  test('is not made for a time that is no whole number of seconds', () => {
    for (const { timestamp } of vectors.signRejects) {
      const timestampSeconds = timestamp.includes('.') ? 161_426_533.5 : Number(timestamp)
      expect(() => signWebhook([newWebhookSecret()], { ...message, timestampSeconds })).toThrow('whole number')
    }
  })

  test('is taken by the reference library, and not for another body, id or secret', () => {
    const secret = newWebhookSecret()
    const headers = signWebhook([secret], message)
    expect(new Webhook(secret).verify(message.payload, headers)).toEqual({ type: 'a.b' })
    expect(() => new Webhook(secret).verify('{"type":"a.c"}', headers)).toThrow('No matching signature')
    expect(() => new Webhook(secret).verify(message.payload, { ...headers, 'webhook-id': 'acme:8' })).toThrow(
      'No matching signature',
    )
    expect(() => new Webhook(newWebhookSecret()).verify(message.payload, headers)).toThrow('No matching signature')
  })

  test('during a rotation is taken under the new secret and under the old', () => {
    const [now, before] = [newWebhookSecret(), newWebhookSecret()]
    const headers = signWebhook([now, before], message)
    for (const secret of [now, before])
      expect(new Webhook(secret).verify(message.payload, headers)).toEqual({ type: 'a.b' })
  })
})

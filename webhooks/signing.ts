import { createHmac, randomBytes } from 'node:crypto'
import { AppError } from '../core/errors.ts'

const prefix = 'whsec_'
const minBytes = 24
const maxBytes = 64

/** A Standard Webhooks symmetric secret: `whsec_` and base64 of 32 random bytes. */
export function newWebhookSecret(): string {
  return prefix + randomBytes(32).toString('base64')
}

/**
 * The headers of one delivery (Standard Webhooks, "Signature scheme"): HMAC-SHA256 over `id.timestamp.payload`. With
 * several secrets, as during a rotation, one signature each, the current first; a receiver takes any that fits.
 */
export function signWebhook(
  secrets: readonly string[],
  message: { id: string; timestampSeconds: number; payload: string },
): { 'webhook-id': string; 'webhook-timestamp': string; 'webhook-signature': string } {
  const { id, timestampSeconds, payload } = message
  if (!Number.isSafeInteger(timestampSeconds) || timestampSeconds < 0) {
    throw new AppError('INTERNAL_SERVER_ERROR', 'A webhook timestamp is a whole number of seconds.')
  }
  const signatures = secrets.map(
    (secret) =>
      `v1,${createHmac('sha256', keyOf(secret)).update(`${id}.${timestampSeconds}.${payload}`).digest('base64')}`,
  )
  return { 'webhook-id': id, 'webhook-timestamp': String(timestampSeconds), 'webhook-signature': signatures.join(' ') }
}

function keyOf(secret: string): Buffer {
  const key = Buffer.from(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret, 'base64')
  if (key.length < minBytes || key.length > maxBytes) {
    throw new AppError('INTERNAL_SERVER_ERROR', `A webhook secret is ${minBytes} to ${maxBytes} bytes.`)
  }
  return key
}

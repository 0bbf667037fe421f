import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { AppError } from '../core/errors.ts'

/** Keeps secrets unreadable in the database and its backups. */
export interface SecretWrapper {
  /** `context` MUST be given again to unwrap: ciphertext copied to another row is worthless there. */
  wrap(secret: string, context: string): Buffer
  /** @throws AppError INTERNAL_SERVER_ERROR where the key is not among those given, or anything was changed */
  unwrap(wrapped: Buffer, context: string): string
}

const formatVersion = 1
const keyIdBytes = 4
const ivBytes = 12
const tagBytes = 16

/**
 * AES-256-GCM: version, key id, nonce, tag, ciphertext. New secrets are wrapped with the first key; the others still
 * unwrap, so a wrapping key is changed by putting a new one in front. The key id is of the key's hash and tells nothing.
 */
export function createSecretWrapper(keys: readonly Buffer[]): SecretWrapper {
  const byId = new Map(keys.map((key) => [keyId(key).toString('hex'), key]))
  const [current] = keys
  if (current === undefined || keys.some((key) => key.length !== 32)) {
    throw new AppError('CONFIG_INVALID', 'The wrapping key for webhook secrets must be 32 bytes.')
  }
  return {
    wrap(secret, context) {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', current, iv).setAAD(Buffer.from(context, 'utf8'))
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      return Buffer.concat([Buffer.of(formatVersion), keyId(current), iv, cipher.getAuthTag(), text])
    },
    unwrap(wrapped, context) {
      const parts = [1, keyIdBytes, ivBytes, tagBytes]
      const [version, id, iv, tag] = parts.map((length, index) => {
        const start = parts.slice(0, index).reduce((sum, part) => sum + part, 0)
        return wrapped.subarray(start, start + length)
      })
      const key = byId.get(id?.toString('hex') ?? '')
      if (version?.[0] !== formatVersion || key === undefined || iv === undefined || tag?.length !== tagBytes) {
        throw unreadable()
      }
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context, 'utf8')).setAuthTag(tag)
        const text = wrapped.subarray(1 + keyIdBytes + ivBytes + tagBytes)
        return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8')
      } catch (error) {
        throw unreadable(error)
      }
    },
  }
}

function keyId(key: Buffer): Buffer {
  return createHash('sha256').update('ledgerway-wrapping-key').update(key).digest().subarray(0, keyIdBytes)
}

function unreadable(cause?: unknown): AppError {
  return new AppError('INTERNAL_SERVER_ERROR', 'A webhook secret cannot be read with the wrapping keys given.', {
    cause,
  })
}

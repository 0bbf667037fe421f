import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { AppError } from '../../core/errors.ts'
import { hashBytes } from '../entry.ts'

const ivBytes = 12
const tagBytes = 16

/** AES-256-GCM: `iv || tag || ciphertext`, with a fresh random iv. */
export function encrypt(key: Buffer, plain: Buffer): Buffer {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), body])
}

/** @throws AppError LEDGER_CORRUPT when the key is another or a byte was changed */
export function decrypt(key: Buffer, sealed: Buffer): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes })
    decipher.setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes))
    return Buffer.concat([decipher.update(sealed.subarray(ivBytes + tagBytes)), decipher.final()])
  } catch (error) {
    throw new AppError('LEDGER_CORRUPT', 'An encrypted value does not open with its key.', { cause: error })
  }
}

/** A private part with the salt of its commitment: whoever has the salt could try texts, so it is as secret as they are. */
export interface PrivatePart {
  readonly salt: Buffer
  readonly text: string
}

export function seal(key: Buffer, part: PrivatePart): Buffer {
  return encrypt(key, Buffer.concat([part.salt, Buffer.from(part.text, 'utf8')]))
}

/** @throws AppError LEDGER_CORRUPT */
export function open(key: Buffer, sealed: Buffer): PrivatePart {
  const plain = decrypt(key, sealed)
  return { salt: plain.subarray(0, hashBytes), text: plain.subarray(hashBytes).toString('utf8') }
}

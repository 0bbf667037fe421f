import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { AppError } from '../core/errors.ts'

/** A new principal-signing key: PKCS #8 in base64, one line, for a file or an environment variable. */
export function newPrincipalKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519')
  return privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
}

/** What subgraphs that should not hold the private key are given: SPKI in base64, one line. */
export function publicPrincipalKey(privateKey: string): string {
  return readPublicKey(privateKey).export({ format: 'der', type: 'spki' }).toString('base64')
}

/** Keys that are separated by commas, which neither PEM nor base64 has. While one is being replaced, there are two. */
export function splitPrincipalKeys(text: string): [first: string, ...others: string[]] {
  const [first = '', ...others] = text.split(',').map((key) => key.trim())
  return [first, ...others.filter((key) => key !== '')]
}

/** @throws AppError CONFIG_INVALID, which shows nothing of the text */
export function readPrivateKey(text: string): KeyObject {
  return ed25519(() =>
    isPem(text)
      ? createPrivateKey(text)
      : createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' }),
  )
}

/** Of a public key, or of the private one that it belongs to. @throws AppError CONFIG_INVALID */
export function readPublicKey(text: string): KeyObject {
  if (isPem(text)) return ed25519(() => createPublicKey(text))
  const key = Buffer.from(text, 'base64')
  // An Ed25519 key is 44 bytes as SPKI and 48 or more as PKCS #8.
  if (key.length === 44) return ed25519(() => createPublicKey({ key, format: 'der', type: 'spki' }))
  return createPublicKey(readPrivateKey(text))
}

const isPem = (text: string): boolean => text.trimStart().startsWith('-----BEGIN ')

function ed25519(read: () => KeyObject): KeyObject {
  try {
    const key = read()
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', 'PRINCIPAL_SIGNING_KEY: the key is neither PEM nor base64 of a key.', {
      cause,
    })
  }
  throw new AppError('CONFIG_INVALID', 'PRINCIPAL_SIGNING_KEY: the key is not an Ed25519 key.')
}

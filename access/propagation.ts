import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { type Clock, systemClock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Principal } from '../core/request.ts'
import { unauthenticated } from './rights.ts'

/**
 * How a gateway tells a subgraph in another process who asks: a JWS (RFC 7515) signed with Ed25519, valid for a minute.
 * Asymmetric, so that a subgraph can check principals and cannot make them. It is proof of who asks, not of what is
 * asked: the connection between the processes must be trusted or encrypted.
 */
const issuer = 'ledgerway-gateway'
const audience = 'ledgerway-subgraph'
const algorithm = 'EdDSA'
const lifetimeSeconds = 60
/** A signature costs about as much as a small query: one serves a principal's requests for this long. */
const reuseMs = 20_000
const maxReused = 10_000

const principalSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('anonymous') }),
  z.strictObject({
    kind: z.literal('company'),
    companyId: z.string().transform((id) => id as CompanyId),
    keyId: z.string(),
    scopes: z.array(z.string()),
  }),
  z.strictObject({ kind: z.literal('admin'), keyId: z.string(), scopes: z.array(z.string()) }),
])

/** For what was written by one of our own processes. @throws ZodError */
export function parsePrincipal(value: unknown): Principal {
  return principalSchema.parse(value)
}

export interface PrincipalSigner {
  sign(principal: Principal): Promise<string>
}

export interface PrincipalVerifier {
  /** @throws AppError UNAUTHENTICATED */
  verify(token: string): Promise<Principal>
}

/** A new principal-signing key: PKCS #8 in base64, one line, for a file or an environment variable. */
export function newPrincipalKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519')
  return privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
}

/** What subgraphs that should not hold the private key are given: SPKI in base64, one line. */
export function publicPrincipalKey(privateKey: string): string {
  return readPublicKey(privateKey).export({ format: 'der', type: 'spki' }).toString('base64')
}

/** @param privateKey of an Ed25519 key: PEM, or PKCS #8 in base64 */
export function createPrincipalSigner(deps: { privateKey: string; clock?: Clock }): PrincipalSigner {
  const { clock = systemClock } = deps
  const key = readPrivateKey(deps.privateKey)
  const reusable = new Map<string, { token: Promise<string>; untilMs: number }>()
  return {
    sign(principal) {
      const now = clock.now()
      const id = JSON.stringify(principal)
      const known = reusable.get(id)
      if (known !== undefined && now < known.untilMs) return known.token
      const issuedAt = Math.floor(now / 1000)
      const token = new SignJWT({ principal })
        .setProtectedHeader({ alg: algorithm })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + lifetimeSeconds)
        .sign(key)
      if (reusable.size >= maxReused) reusable.clear()
      reusable.set(id, { token, untilMs: now + reuseMs })
      return token
    },
  }
}

/**
 * @param keys public keys, or the private ones they belong to, as PEM or in base64: the current one and, while rotating,
 *   the last
 */
export function createPrincipalVerifier(deps: { keys: readonly string[]; clock?: Clock }): PrincipalVerifier {
  const { clock = systemClock } = deps
  const keys = deps.keys.map(readPublicKey)
  return {
    async verify(token) {
      for (const key of keys) {
        try {
          const { payload } = await jwtVerify(token, key, {
            issuer,
            audience,
            algorithms: [algorithm],
            currentDate: new Date(clock.now()),
            clockTolerance: 5,
            requiredClaims: ['exp', 'iat'],
          })
          return parsePrincipal(payload['principal'])
        } catch (error) {
          if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw unauthenticated()
        }
      }
      throw unauthenticated()
    },
  }
}

function readPrivateKey(text: string): KeyObject {
  return ed25519(() =>
    isPem(text)
      ? createPrivateKey(text)
      : createPrivateKey({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' }),
  )
}

function readPublicKey(text: string): KeyObject {
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

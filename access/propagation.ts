import { errors, jwtVerify, SignJWT } from 'jose'
import { z } from 'zod'
import { type Clock, systemClock } from '../core/clock.ts'
import type { CompanyId } from '../core/ids.ts'
import type { Principal } from '../core/request.ts'
import { readPrivateKey, readPublicKey } from './principal-key.ts'
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

import type { IncomingHttpHeaders } from 'node:http'
import type { KeyRing } from '../access/keys.ts'
import { unauthenticated } from '../access/rights.ts'
import { anonymous, type Principal } from '../core/request.ts'

/** The part of the key ring that the edge needs. */
export interface Authenticator extends Pick<KeyRing, 'authenticate' | 'valid' | 'onRevoked'> {
  /** Nobody needs a key, and none is looked at. Only where every subgraph is the operator's own and guards itself. */
  readonly open?: boolean
}

export const openToAll: Authenticator = {
  open: true,
  authenticate: () => Promise.resolve(anonymous),
  valid: () => true,
  onRevoked: () => () => undefined,
}

/** @throws AppError UNAUTHENTICATED for whoever came without a key, unless all are welcome */
export function mustBeKnown(principal: Principal, { open = false }: Pick<Authenticator, 'open'>): void {
  if (principal.kind === 'anonymous' && !open) throw unauthenticated()
}

/** `authorization: Bearer KEY`, else `x-api-key: KEY`; undefined without either. */
export function keyInHeaders(headers: IncomingHttpHeaders): string | undefined {
  return bearer(headers.authorization) ?? text(headers['x-api-key'])
}

/** The same in the payload of `connection_init`, whose names clients write as they like; `apiKey` too. */
export function keyInPayload(payload: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const values = payloadByName(payload)
  return bearer(values['authorization']) ?? text(values['x-api-key']) ?? text(values['apikey'])
}

export function payloadByName(payload: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  return Object.fromEntries(Object.entries(payload ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
}

/** Nobody without a key; an error with one that is not valid. @throws AppError UNAUTHENTICATED, CATALOG_UNAVAILABLE */
export async function principalOf(authenticator: Authenticator, key: string | undefined): Promise<Principal> {
  return key === undefined ? anonymous : authenticator.authenticate(key)
}

/** One text for each principal, for counting and as part of keys. */
export function principalKey(principal: Principal): string {
  if (principal.kind === 'company') return `company ${principal.companyId}`
  return principal.kind === 'admin' ? `admin ${principal.keyId}` : 'anonymous'
}

function bearer(value: unknown): string | undefined {
  return typeof value === 'string' ? (/^Bearer +(\S+) *$/i.exec(value)?.[1] ?? undefined) : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.trim() : undefined
}

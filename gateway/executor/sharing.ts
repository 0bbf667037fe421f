/**
 * Who may share what with whom. Reads in flight are shared within one principal and one position token; where every
 * field is public (`../public-fields.ts`), principals of the same kind with the same scopes share too, since what they
 * may do is the same there. Who is not known shares with nobody else. A mutation that has finished closes what its principal could still join, and
 * what a mutation itself reads is never shared.
 */
import type { Principal, RequestContext } from '../../core/request.ts'
import { createInFlight, type InFlight } from './in-flight.ts'
import type { Answer } from './answer.ts'

export interface Sharing {
  /** Whole answers to identical queries of clients. */
  readonly queries: InFlight<Answer> | undefined
  /** Answers of subgraphs to identical reads, as text. */
  readonly reads: InFlight<string> | undefined
  /** Who may get the same answer as this principal: `isPublic` says that nothing in it depends on who asks. */
  audienceOf(principal: Principal, isPublic: boolean): Audience
  /** What an answer depends on besides what is asked and who asks: the position, and headers that are passed on. */
  scopeOf(context: RequestContext): string
  /** Called when a mutation starts: nothing of this context is shared. */
  exclude(context: RequestContext): void
  isExcluded(context: RequestContext): boolean
  /** Called when a mutation has finished. */
  mutated(context: RequestContext): void
}

/** Those who share. */
export interface Audience {
  /** Belongs into the key of whatever is shared. */
  readonly key: string
  /** What a mutation closes. */
  readonly group: string
}

const publicGroup = 'public'

export interface SharingOptions {
  readonly queries: boolean
  readonly reads: boolean
  /** Whether principals share what is public. Default true. */
  readonly acrossPrincipals?: boolean
  /** The client's headers, in lower case, that any subgraph gets to see (`passOn`). Default none. */
  readonly headers?: readonly string[]
  /** Pieces of work under way at the same time, each kind. */
  readonly max?: number
}

export function createSharing(options: SharingOptions): Sharing {
  const { queries, reads, acrossPrincipals = true, headers = [], max = 10_000 } = options
  const sharedQueries = queries ? createInFlight<Answer>({ max }) : undefined
  const sharedReads = reads ? createInFlight<string>({ max }) : undefined
  const excluded = new WeakSet<RequestContext>()
  return {
    queries: sharedQueries,
    reads: sharedReads,
    audienceOf(principal, isPublic) {
      if (isPublic && acrossPrincipals && principal.kind !== 'anonymous') {
        return { key: JSON.stringify([publicGroup, principal.kind, principal.scopes.toSorted()]), group: publicGroup }
      }
      const key = principalKey(principal)
      return { key, group: key }
    },
    scopeOf: ({ position = '', headers: given }) =>
      JSON.stringify([position, ...headers.map((name) => given?.[name] ?? null)]),
    exclude: (context) => void excluded.add(context),
    isExcluded: (context) => excluded.has(context),
    mutated(context) {
      for (const group of [principalKey(context.principal), publicGroup]) {
        sharedQueries?.close(group)
        sharedReads?.close(group)
      }
    },
  }
}

/** Everything rights may follow from. */
export function principalKey(principal: Principal): string {
  switch (principal.kind) {
    case 'anonymous':
      return 'anonymous'
    case 'company':
      return JSON.stringify([principal.kind, principal.companyId, principal.keyId, principal.scopes])
    case 'admin':
      return JSON.stringify([principal.kind, principal.keyId, principal.scopes])
    default:
      return principal satisfies never
  }
}

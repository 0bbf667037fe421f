/**
 * The headers of a request to a subgraph. Foreign subgraphs get what the client sent of an allow list; ours get the
 * signed principal and what else a request carries (`docs/architecture.md`). Nothing else leaves the gateway.
 */
import type { RequestContext } from '../../core/request.ts'
import { positionAfter } from '../request-scope.ts'

export interface HeaderOptions {
  /** Names, in lower case, of the client's headers that this subgraph may see. */
  readonly passOn?: readonly string[]
  /** Sent with every request, for example a key for the subgraph. */
  readonly fixed?: Readonly<Record<string, string>>
  /** For our own subgraphs: the `authorization` that says who asks. Its presence adds the `ledgerway-` headers. */
  readonly authorize?: (context: RequestContext) => string | Promise<string>
}

const json = { 'content-type': 'application/json', accept: 'application/json', 'accept-encoding': 'gzip, br' }

export type HeaderBuilder = (context: RequestContext) => Promise<Record<string, string>> | Record<string, string>

export function createHeaderBuilder({ passOn = [], fixed = {}, authorize }: HeaderOptions): HeaderBuilder {
  const always = { ...json, ...fixed }
  function passedOn(context: RequestContext): Record<string, string> {
    const given = context.headers
    if (given === undefined || passOn.length === 0) return always
    const headers: Record<string, string> = { ...always }
    for (const name of passOn) {
      const value = given[name]
      if (value !== undefined) headers[name] = value
    }
    return headers
  }
  if (authorize === undefined) return passedOn
  return async (context) => {
    // What this operation has written so far counts, too: the rest of a mutation's answer must not lag it.
    const position = positionAfter(context.position, context.written)
    return {
      ...passedOn(context),
      authorization: await authorize(context),
      'ledgerway-request-id': context.requestId,
      ...(position === undefined ? {} : { 'ledgerway-position': position }),
    }
  }
}

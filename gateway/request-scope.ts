import { randomUUID } from 'node:crypto'
import { AppError } from '../core/errors.ts'
import { createStatementCounter, type Principal, type RequestContext } from '../core/request.ts'
import { decodePosition, encodePosition, mergePositions } from '../core/position.ts'

/** A request's context together with what ends it early. Disposing stops the clock and cancels what still runs. */
export interface RequestScope extends Disposable {
  readonly context: RequestContext
  /** Ends everything that works for this request. */
  cancel(reason: AppError): void
}

/**
 * @param request.limitMs how long the answer may take; absent for subscriptions, which end when they are cancelled
 * @throws AppError INVALID_POSITION
 */
export function createRequestScope(request: {
  requestId: string
  principal: Principal
  position: string | undefined
  headers?: RequestContext['headers']
  limitMs?: number
}): RequestScope {
  const { position, headers, limitMs } = request
  if (position !== undefined) decodePosition(position)
  const controller = new AbortController()
  const timer =
    limitMs === undefined
      ? undefined
      : setTimeout(() => {
          const details = { limitMs }
          controller.abort(new AppError('DEADLINE_EXCEEDED', `No answer within ${limitMs} ms.`, { details }))
        }, limitMs)
  return {
    context: {
      requestId: request.requestId,
      principal: request.principal,
      ...(position === undefined ? {} : { position }),
      ...(headers === undefined ? {} : { headers }),
      deadlineMs: limitMs === undefined ? Number.MAX_SAFE_INTEGER : Date.now() + limitMs,
      signal: controller.signal,
      startedMs: performance.now(),
      statements: createStatementCounter(),
      written: [],
      missingShards: new Set(),
    },
    cancel: (reason) => controller.abort(reason),
    [Symbol.dispose]() {
      clearTimeout(timer)
      if (!controller.signal.aborted) controller.abort(finished)
    },
  }
}

const finished = new AppError('CANCELLED', 'The request is over.')

/** Rejects as soon as the scope is cancelled or out of time, whatever `work` does about its signal. */
export async function withinScope<T>(scope: RequestScope, work: Promise<T>): Promise<T> {
  const { signal } = scope.context
  if (signal.aborted) throw signal.reason
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** What the client may send back: the states of the token it came with and of its writes. */
export function positionAfter(sent: string | undefined, written: readonly string[]): string | undefined {
  const tokens = sent === undefined || sent === '' ? written : [sent, ...written]
  if (tokens.length < 2) return tokens[0]
  return encodePosition(tokens.map(decodePosition).reduce(mergePositions))
}

/** Of what a client sent, the part that subgraphs may see; names in lower case. */
export function passedOn(
  given: Readonly<Record<string, unknown>>,
  names: readonly string[],
): RequestContext['headers'] {
  if (names.length === 0) return undefined
  const found = names.flatMap((name) => {
    const value = given[name]
    return typeof value === 'string' && value !== '' ? [[name, value] as const] : []
  })
  return Object.fromEntries(found)
}

/** A caller's own id where it is harmless to log, so that one id follows a request through several servers. */
export function requestIdOf(header: string | string[] | undefined): string {
  return typeof header === 'string' && /^[\w.:-]{8,64}$/.test(header) ? header : randomUUID()
}

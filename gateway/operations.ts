import type { ApolloServer } from '@apollo/server'
import { type ExecutionResult, type FormattedExecutionResult, GraphQLError, OperationTypeNode } from 'graphql'
import { AppError } from '../core/errors.ts'
import type { Principal, RequestContext } from '../core/request.ts'
import type { Admission } from './admission.ts'
import { type Authenticator, mustBeKnown, principalKey } from './credentials.ts'
import { type Documents, operationOf } from './documents.ts'
import { clientGone, type ErrorFormatter } from './errors.ts'
import type { FederatedGateway } from './executor/gateway.ts'
import type { OperationRequest } from './http/body.ts'
import type { GatewayLimits } from './limits.ts'
import { checkLists } from './list-limits.ts'
import type { RateGuard } from './rates.ts'
import type { OwnWrites } from './own-writes.ts'
import type { RequestMetrics } from './request-metrics.ts'
import { createRequestScope, type RequestScope, withinScope } from './request-scope.ts'
import type { CurrentSchema } from './schema.ts'
import { afterOf, cursorReader, resumeAfter } from './subscriptions/cursor.ts'
import { iterated, lost, reopening } from './subscriptions/reopening.ts'
import { createEventStream, type EventStream } from './subscriptions/event-stream.ts'
import { createSharedStreams, type OwnStream } from './subscriptions/shared-streams.ts'

/** One operation of a client that holds a connection (WebSocket, event stream). */
export interface ConnectedRequest {
  readonly operation: OperationRequest
  readonly principal: Principal
  readonly requestId: string
  readonly position: string | undefined
  /** Of the client's, what subgraphs may see. */
  readonly headers?: RequestContext['headers']
  /** Cursor of the last event the client has seen. */
  readonly resumeFrom?: string
  /** Aborts when the client's connection is gone. */
  readonly gone: AbortSignal
  /** Mutations are refused: what a link can start must not change anything. */
  readonly readOnly?: boolean
  /** Called when a stream has ended, for whatever reason. */
  readonly onEnd?: () => void
}

export type Started =
  | { readonly kind: 'single'; readonly result: FormattedExecutionResult }
  | {
      readonly kind: 'stream'
      readonly events: EventStream
      format(event: ExecutionResult): FormattedExecutionResult
      cursorOf(event: ExecutionResult): string | undefined
    }

export interface Operations {
  /** Answers queries and mutations, opens subscriptions. @throws what the error formatter understands */
  start(request: ConnectedRequest): Promise<Started>
}

export function createOperations(deps: {
  apollo: ApolloServer<RequestContext>
  authenticator: Pick<Authenticator, 'open'>
  gateway: Pick<FederatedGateway, 'subscribe'>
  schema: CurrentSchema
  documents: Documents
  errors: ErrorFormatter
  ownWrites: OwnWrites
  operations: Admission
  rates: RateGuard
  subscriptions: Admission
  limits: GatewayLimits
  metrics: RequestMetrics
}): Operations {
  const { apollo, documents, errors, limits, metrics } = deps
  const streams = createSharedStreams()

  function scopeOf({ requestId, principal, position, headers }: ConnectedRequest, limitMs?: number): RequestScope {
    return createRequestScope({
      requestId,
      principal,
      position: deps.ownWrites.needed(principal, position),
      headers,
      ...(limitMs === undefined ? {} : { limitMs }),
    })
  }

  async function answer(request: ConnectedRequest): Promise<Started> {
    using _place = deps.operations.enter(principalKey(request.principal))
    using scope = scopeOf(request, limits.requestMs)
    const cancel = (): void => scope.cancel(clientGone())
    request.gone.addEventListener('abort', cancel, { once: true })
    const work = apollo.executeOperation(
      { ...request.operation, variables: { ...request.operation.variables } },
      { contextValue: scope.context },
    )
    const { body } = await withinScope(scope, work).finally(() => request.gone.removeEventListener('abort', cancel))
    if (body.kind === 'single') return { kind: 'single', result: body.singleResult }
    throw new AppError('BAD_REQUEST', 'Incremental delivery is only offered over HTTP.')
  }

  function format(event: ExecutionResult, requestId: string): FormattedExecutionResult {
    if (event.errors === undefined) return event as FormattedExecutionResult
    return { ...event, errors: event.errors.map((error) => errors.format(error, requestId)) }
  }

  async function start(request: ConnectedRequest): Promise<Started> {
    const { operation: asked, principal, requestId, resumeFrom } = request
    const loaded = deps.schema.get()
    if (loaded === undefined) throw new AppError('OVERLOADED', 'The schema is not loaded yet.')
    mustBeKnown(principal, deps.authenticator)
    await deps.rates.check(principal)
    const valid = documents.valid(asked.query, loaded.api)
    const operation = operationOf(valid, asked.operationName)
    if (operation.operation === OperationTypeNode.MUTATION && request.readOnly === true) {
      throw new AppError('BAD_REQUEST', 'Mutations need POST.', { details: { httpStatus: 405 } })
    }
    if (operation.operation !== OperationTypeNode.SUBSCRIPTION) return answer(request)

    const given = asked.variables ?? {}
    checkLists(loaded.api, operation, given, limits.listItems)
    const resumed =
      resumeFrom === undefined
        ? { document: valid, variables: given }
        : resumeAfter(loaded.api, valid, operation, given, resumeFrom)
    const cursor = cursorReader(valid, operation)
    const cursorOf = (event: ExecutionResult): string | undefined => cursor(event.data)
    const behind = (after: string): typeof resumed => resumeAfter(loaded.api, valid, operation, given, after)

    function open(of: typeof resumed, { context }: RequestScope): ReturnType<typeof deps.gateway.subscribe> {
      return deps.gateway.subscribe({
        document: of.document,
        ...(operation.name === undefined ? {} : { operationName: operation.name.value }),
        variables: { ...of.variables },
        context,
      })
    }

    /** Others may go on with it when this subscriber has left: so its scope is its own. */
    function own(source: AsyncIterable<ExecutionResult>, scope: RequestScope, after: string | undefined): OwnStream {
      const events = reopening(source, { after, cursorOf, open: (from) => open(behind(from), scope) })
      return { events: events[Symbol.asyncIterator](), close: () => scope[Symbol.dispose]() }
    }

    async function reopen(after: string): Promise<OwnStream> {
      const scope = scopeOf(request)
      // What cannot be opened just now is a stream that was lost at once.
      return own(await open(behind(after), scope).then(iterated, lost), scope, after)
    }

    const place = deps.subscriptions.enter(principalKey(principal))
    const scope = scopeOf(request)
    const leave = (): void => {
      place[Symbol.dispose]()
      request.onEnd?.()
    }
    try {
      const source = await open(resumed, scope)
      if (!(Symbol.asyncIterator in source)) {
        scope[Symbol.dispose]()
        leave()
        const result = format(withCodes(source), requestId)
        metrics.answered('subscription', result.errors?.[0]?.extensions?.['code'], performance.now())
        return { kind: 'single', result }
      }
      const first = own(source, scope, resumeFrom ?? afterOf(valid, operation, given))
      return {
        kind: 'stream',
        events: createEventStream(streams.follow(first, { cursorOf, reopen }), leave),
        format: (event) => format(event, requestId),
        cursorOf,
      }
    } catch (error) {
      scope[Symbol.dispose]()
      leave()
      throw error
    }
  }

  return {
    async start(request) {
      const startedMs = performance.now()
      try {
        const started = await start(request)
        if (started.kind === 'stream') metrics.answered('subscription', undefined, startedMs)
        return started
      } catch (error) {
        metrics.failed(undefined, error, startedMs)
        throw error
      }
    },
  }
}

/** What graphql-js says of variables has no code; with nothing run yet, it is about what the client sent. */
function withCodes(result: ExecutionResult): ExecutionResult {
  if (result.errors === undefined || result.data !== undefined) return result
  const errors = result.errors.map((error) =>
    error.extensions['code'] !== undefined || error.originalError != null
      ? error
      : new GraphQLError(error.message, { nodes: error.nodes ?? null, extensions: { code: 'BAD_USER_INPUT' } }),
  )
  return { ...result, errors }
}

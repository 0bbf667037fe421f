/**
 * Apollo Server's request pipeline for a request whose document it has let through before. What remains of the pipeline
 * is done in the same order and with the same plugins: `requestDidStart`, `didResolveSource`, `didResolveOperation`,
 * `responseForOperation`, `executionDidStart`, the execution, `didEncounterErrors`, `willSendResponse`. Left out is what
 * cannot come out differently: looking at the body's and headers' form, hashing the text, and negotiating the type.
 * (Parsing and validation are reported to plugins by Apollo Server only when it does them, so never for these.)
 */
import {
  type ApolloServer,
  type ApolloServerPlugin,
  type GraphQLRequestContext,
  type GraphQLRequestListener,
  HeaderMap,
  type HTTPGraphQLHead,
  type HTTPGraphQLRequest,
  type HTTPGraphQLResponse,
} from '@apollo/server'
import { type ExecutionResult, type FormattedExecutionResult, GraphQLError } from 'graphql'
import type { RequestContext } from '../../core/request.ts'
import type { FederatedGateway } from '../executor/gateway.ts'
import { asGraphqlError, type FormatError, formatErrors, mergeHead, withCode } from './apollo-errors.ts'
import type { KnownRequest } from './known-documents.ts'

export interface KnownOperationDeps {
  readonly apollo: ApolloServer<RequestContext>
  /** All of Apollo Server's plugins, but for the one that learns; those it installs by itself are to be switched off. */
  readonly plugins: readonly ApolloServerPlugin<RequestContext>[]
  readonly gateway: Pick<FederatedGateway, 'answer'>
  readonly formatError: FormatError
  readonly stringifyResult: (result: FormattedExecutionResult) => string
}

export type AnswerKnown = (
  request: KnownRequest,
  http: HTTPGraphQLRequest,
  context: RequestContext,
) => Promise<HTTPGraphQLResponse>

type Listeners = readonly GraphQLRequestListener<RequestContext>[]
type InProgress = { -readonly [Key in keyof GraphQLRequestContext<RequestContext>]: unknown } & {
  response: { http: HTTPGraphQLHead; body?: unknown }
}

export function createKnownOperations(deps: KnownOperationDeps): AnswerKnown {
  const { apollo, formatError, stringifyResult } = deps
  const starting = deps.plugins.filter((plugin) => plugin.requestDidStart !== undefined)

  async function run(request: InProgress, asked: KnownRequest, context: RequestContext): Promise<void> {
    const { source, document, schema, queryHash } = asked.known
    const listeners = await started(starting, (plugin) => plugin.requestDidStart?.(request as never))
    request.queryHash = queryHash
    request.source = source
    Object.assign(request.metrics as object, { persistedQueryHit: false, persistedQueryRegister: false })
    await all(listeners, (listener) => listener.didResolveSource?.(request as never))
    request.document = document
    request.operation = asked.operation
    request.operationName = asked.operation.name?.value ?? null
    try {
      await all(listeners, (listener) => listener.didResolveOperation?.(request as never))
    } catch (error) {
      return refuse(request, listeners, asGraphqlError(error))
    }
    for (const listener of listeners) {
      const given = await listener.responseForOperation?.(request as never)
      if (given === undefined || given === null) continue
      request.response.body = given.body
      mergeHead(request.response.http, given.http)
      return end(request, listeners)
    }
    const executing = await started(listeners, (listener) => listener.executionDidStart?.(request as never))
    executing.reverse()
    try {
      const { operationName, variables = {} } = asked
      const answer = await deps.gateway.answer({ schema, document, queryHash, operationName, variables, context })
      // To Apollo Server, and so to its plugins, an answer's data is whatever `stringifyResult` can write.
      await finish(request, listeners, answer as ExecutionResult)
    } catch (error) {
      for (const listener of executing) await listener.executionDidEnd?.(asGraphqlError(error))
      return refuse(request, listeners, asGraphqlError(error))
    }
    for (const listener of executing) await listener.executionDidEnd?.()
    return end(request, listeners)
  }

  async function finish(request: InProgress, listeners: Listeners, result: ExecutionResult): Promise<void> {
    if (result.errors === undefined) {
      request.response.body = { kind: 'single', singleResult: { ...result, errors: undefined } }
      return
    }
    const { formatted, head } = await told(request, listeners, result.errors.map(withCode))
    if (formatted.length > 0 && result.data === undefined) head.status ??= 400
    mergeHead(request.response.http, head)
    request.response.body = { kind: 'single', singleResult: { ...result, errors: formatted } }
  }

  async function refuse(request: InProgress, listeners: Listeners, error: GraphQLError): Promise<void> {
    const { formatted, head } = await told(request, listeners, [error])
    request.response.body = { kind: 'single', singleResult: { errors: formatted } }
    mergeHead(request.response.http, head)
    request.response.http.status ??= 500
    return end(request, listeners)
  }

  async function told(
    request: InProgress,
    listeners: Listeners,
    errors: readonly GraphQLError[],
  ): Promise<ReturnType<typeof formatErrors>> {
    request.errors = errors
    await all(listeners, (listener) => listener.didEncounterErrors?.(request as never))
    return formatErrors(errors, formatError)
  }

  async function end(request: InProgress, listeners: Listeners): Promise<void> {
    await all(listeners, (listener) => listener.willSendResponse?.(request as never))
  }

  /** What no plugin and no part of the pipeline was meant to throw. */
  async function unexpected(request: InProgress, thrown: unknown): Promise<FormattedExecutionResult> {
    const error = thrown instanceof Error ? thrown : new GraphQLError(`Unexpected error value: ${String(thrown)}`)
    for (const plugin of deps.plugins) {
      await plugin.unexpectedErrorProcessingRequest?.({ requestContext: request as never, error })
    }
    apollo.logger.error(`Unexpected error processing request: ${error}`)
    request.response.http = { status: 500, headers: new HeaderMap() }
    return { errors: formatErrors([new Error('Internal server error')], formatError).formatted }
  }

  return async (asked, http, context) => {
    const { source, schema } = asked.known
    const request = {
      logger: apollo.logger,
      cache: apollo.cache,
      schema,
      request: {
        query: source,
        operationName: asked.operationName,
        variables: asked.variables,
        extensions: asked.extensions,
        http,
      },
      response: { http: { headers: new HeaderMap() } },
      contextValue: context,
      metrics: {},
      overallCachePolicy: nothingCacheable,
      requestIsBatched: false,
    } as unknown as InProgress
    let result: FormattedExecutionResult
    try {
      await run(request, asked, context)
      result = (request.response.body as { singleResult: FormattedExecutionResult }).singleResult
    } catch (error) {
      result = await unexpected(request, error)
    }
    const { http: head } = request.response
    if (!head.headers.has('content-type')) head.headers.set('content-type', asked.contentType)
    const { errors, data, extensions } = result
    // In the order that the specification recommends, errors first.
    const string = stringifyResult({ errors, data, extensions } as FormattedExecutionResult)
    return { ...head, body: { kind: 'complete', string } }
  }
}

/** The plugin that would fill it is switched off. */
const nothingCacheable = { restrict: () => undefined, replace: () => undefined, policyIfCacheable: () => null }

function all<Listener>(
  listeners: readonly Listener[],
  call: (listener: Listener) => Promise<unknown> | undefined,
): Promise<unknown> | undefined {
  const [only, second] = listeners
  if (only === undefined) return undefined
  return second === undefined ? call(only) : Promise.all(listeners.map(async (listener) => call(listener)))
}

/** What the hooks of those that take part gave, in their order. */
async function started<Target, Listener>(
  targets: readonly Target[],
  call: (target: Target) => Promise<Listener | void> | undefined,
): Promise<Listener[]> {
  const found: Listener[] = []
  for (const listener of await Promise.all(targets.map(async (target) => call(target))))
    if (listener) found.push(listener)
  return found
}

import {
  ApolloServer,
  type ApolloServerPlugin,
  type GraphQLRequestListener,
  type HTTPGraphQLRequest,
  type HTTPGraphQLResponse,
} from '@apollo/server'
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginSchemaReportingDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled'
import { type FormattedExecutionResult, OperationTypeNode } from 'graphql'
import { AppError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Principal, RequestContext } from '../core/request.ts'
import type { AnswerCaching } from './answer-caching.ts'
import { answerText } from './answer-text.ts'
import { type Authenticator, mustBeKnown, principalKey } from './credentials.ts'
import { introspects, onlyIntrospects, operationOf } from './documents.ts'
import { type ErrorFormatter, retryAfterOf, statusOf } from './errors.ts'
import type { FederatedGateway } from './executor/gateway.ts'
import { createLargeAnswers, isLarge, type LargeAnswers } from './large-answers.ts'
import type { GatewayLimits } from './limits.ts'
import { checkLists } from './list-limits.ts'
import type { OwnWrites } from './own-writes.ts'
import { createPersistedQueries } from './persisted-queries.ts'
import type { FormatError } from './pipeline/apollo-errors.ts'
import { createHttpFront } from './pipeline/http-front.ts'
import type { RequestMetrics } from './request-metrics.ts'
import { positionAfter } from './request-scope.ts'
import type { CurrentSchema } from './schema.ts'
import { noEnumValuesInJson } from './validation-rules.ts'

export const positionHeader = 'ledgerway-position'

export interface Apollo {
  readonly server: ApolloServer<RequestContext>
  /** `executeHTTPGraphQLRequest`, by a shorter way where the document is known. */
  answerHttp(request: HTTPGraphQLRequest, context: RequestContext): Promise<HTTPGraphQLResponse>
}

/** Apollo Server over the executor of query plans, with what the edge adds to every operation in plugins. */
export function createApollo(deps: {
  gateway: Pick<FederatedGateway, 'gateway' | 'answer'>
  authenticator: Pick<Authenticator, 'open'>
  schema: CurrentSchema
  caching: AnswerCaching | undefined
  ownWrites: OwnWrites
  errors: ErrorFormatter
  limits: GatewayLimits
  logger: Logger
  /** Introspection without a key. */
  development: boolean
  /** `extensions.statements` in answers. */
  debugExtensions: boolean
  metrics: RequestMetrics
}): Apollo {
  const { errors, logger } = deps
  /** Which request an error belongs to: Apollo Server formats errors without saying. */
  const requestIds = new WeakMap<object, string>()
  const large = createLargeAnswers()
  const stringifyResult = (result: FormattedExecutionResult): string =>
    isLarge(result) ? '' : `${answerText(result)}\n`
  const formatError: FormatError = (_formatted, error) =>
    errors.format(error, requestIds.get(error as object) ?? 'unknown')
  const plugins = [schemaPlugin(deps.schema), operationPlugin(deps, requestIds, large)]
  const front = createHttpFront({ gateway: deps.gateway, plugins, formatError, stringifyResult })
  const server = new ApolloServer<RequestContext>({
    gateway: deps.gateway.gateway,
    stringifyResult,
    plugins: [
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      ApolloServerPluginSchemaReportingDisabled(),
      ...front.plugins,
    ],
    formatError,
    logger: {
      debug: (message) => logger.debug({}, String(message)),
      info: (message) => logger.info({}, String(message)),
      warn: (message) => logger.warn({}, String(message)),
      error: (message) => logger.error({}, String(message)),
    },
    validationRules: [noEnumValuesInJson],
    persistedQueries: { cache: createPersistedQueries() },
    // Who may is decided with each operation.
    introspection: true,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    nodeEnv: 'production',
  })
  return {
    server,
    answerHttp: async (request, context) => large.instead(await front.answer(server, request, context), context),
  }
}

function schemaPlugin(schema: CurrentSchema): ApolloServerPlugin<RequestContext> {
  return {
    serverWillStart: async () => ({
      schemaDidLoadOrUpdate: ({ apiSchema, coreSupergraphSdl }) => schema.set(apiSchema, coreSupergraphSdl ?? ''),
    }),
  }
}

function operationPlugin(
  deps: Parameters<typeof createApollo>[0],
  requestIds: WeakMap<object, string>,
  large: LargeAnswers,
): ApolloServerPlugin<RequestContext> {
  const { caching, ownWrites, limits, development, logger, metrics } = deps
  // They tell how the data is spread: in production only administrators see them.
  const debugged = ({ kind }: Principal): boolean => deps.debugExtensions && (development || kind === 'admin')
  return {
    async requestDidStart({ contextValue: context }): Promise<GraphQLRequestListener<RequestContext>> {
      const startedMs = performance.now()
      let lookup: Awaited<ReturnType<AnswerCaching['lookUp']>> | undefined
      return {
        async didResolveOperation({ document, request, schema }) {
          const operation = operationOf(document, request.operationName)
          if (!(development && onlyIntrospects(operation))) mustBeKnown(context.principal, deps.authenticator)
          // Where keys are asked for, whoever has one may see the schema.
          if (!development && deps.authenticator.open === true && introspects(document, operation)) {
            throw new AppError(
              'INTROSPECTION_DISABLED',
              'This server does not show its schema: leave out "__schema" and "__type".',
            )
          }
          if (operation.operation === OperationTypeNode.SUBSCRIPTION) {
            throw new AppError(
              'BAD_REQUEST',
              'Subscriptions go over WebSocket at this address, or as an event stream at /graphql/stream.',
            )
          }
          checkLists(schema, operation, request.variables ?? {}, limits.listItems)
        },

        async responseForOperation({ document, operation, request, source, response }) {
          if (caching === undefined || operation === undefined) return null
          lookup = await caching.lookUp({
            context,
            source,
            document,
            operation,
            variables: request.variables ?? {},
            cacheControl: request.http?.headers.get('cache-control'),
          })
          if (lookup.state === 'hit') {
            response.http.headers.set('cache-control', lookup.cacheControl)
            return { http: response.http, body: { kind: 'single', singleResult: { data: lookup.data } } }
          }
          if (lookup.state === 'miss') readAt(context, lookup.position)
          return null
        },

        async didEncounterErrors({ errors }) {
          for (const error of errors) requestIds.set(error, context.requestId)
        },

        async willSendResponse({ request, response, document, operation, operationName }) {
          const { headers } = response.http
          if (response.body.kind === 'single') {
            const result = response.body.singleResult
            ownWrites.note(context.principal, context.written)
            if (document !== undefined && operation?.operation === OperationTypeNode.MUTATION) {
              await caching?.mutated({ document, operation, data: result.data, written: context.written })
            }
            const position = positionAfter(request.http?.headers.get(positionHeader), context.written)
            if (position !== undefined) headers.set(positionHeader, position)
            const extensions = {
              ...result.extensions,
              ...(position === undefined ? {} : { position }),
              ...(debugged(context.principal) ? { statements: context.statements.totals() } : {}),
            }
            if (Object.keys(extensions).length > 0) result.extensions = extensions
            finishHead(response.http, result)
            if (caching !== undefined && operation !== undefined) {
              headers.set('ledgerway-cache', lookup?.state ?? 'bypass')
              if (operation.operation === OperationTypeNode.QUERY) metrics.looked(lookup?.state ?? 'bypass')
              if (lookup?.state === 'miss') {
                const cacheControl = lookup.fill(result)
                if (cacheControl !== undefined) headers.set('cache-control', cacheControl)
              }
            }
            if (!headers.has('cache-control')) headers.set('cache-control', 'no-store')
            large.note(context, result)
            // Who has gone, or waited too long, was answered already.
            if (!context.signal.aborted) {
              metrics.answered(operation?.operation, result.errors?.[0]?.extensions?.['code'], startedMs)
            }
            logger.info(
              {
                requestId: context.requestId,
                principal: principalKey(context.principal),
                operation: operation?.operation,
                operationName,
                ms: Math.round(performance.now() - startedMs),
                cache: lookup?.state,
                codes: result.errors?.map((error) => error.extensions?.['code']),
              },
              'answered',
            )
          }
        },
      }
    },
  }
}

/** An answer that is to be kept is read at least where the cache's last invalidation was; nobody has read by now. */
function readAt(context: RequestContext, position: string | undefined): void {
  if (position !== undefined) Object.assign(context, { position })
}

/** Without data the status says what went wrong; with data, even null, the request itself was fine. */
function finishHead(head: { status?: number; headers: Map<string, string> }, result: FormattedExecutionResult): void {
  if (result.data !== undefined || result.errors === undefined) return
  // Apollo Server gives 405 where a GET holds a mutation.
  if (head.status === undefined || head.status === 500) head.status = statusOf(result.errors)
  const retryAfter = retryAfterOf(result.errors)
  if (retryAfter !== undefined) head.headers.set('retry-after', retryAfter)
}

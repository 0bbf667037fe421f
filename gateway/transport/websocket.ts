/**
 * Subscriptions to a subgraph in another process, by graphql-transport-ws: one connection for each, so that one
 * client's slow stream never holds up another's, and the credentials of `connection_init` are that client's own.
 */
import { createClient, type SubscribePayload } from 'graphql-ws'
import { WebSocket } from 'ws'
import type { ExecutionResult, GraphQLError } from 'graphql'
import type { SubgraphRequest } from '../../core/subgraph-executor.ts'
import { readErrors, subgraphError } from '../executor/errors.ts'
import type { HeaderBuilder } from './headers.ts'
import { unavailable } from './wire.ts'

export interface SubscriberOptions {
  readonly subgraph: string
  readonly url: string
  readonly headersOf: HeaderBuilder
}

type Subscriber = (request: SubgraphRequest, signal: AbortSignal) => Promise<AsyncIterable<ExecutionResult>>

export function createSubscriber({ subgraph, url, headersOf }: SubscriberOptions): Subscriber {
  const socketUrl = url.replace(/^http/, 'ws')
  return async (request, signal) => {
    const headers = await headersOf(request.context)
    const client = createClient({
      url: socketUrl,
      webSocketImpl: WebSocket,
      connectionParams: headers,
      retryAttempts: 0,
      lazy: true,
    })
    const { query, operationName, variables } = request
    const payload: SubscribePayload = {
      query,
      ...(operationName === undefined ? {} : { operationName }),
      ...(variables === undefined ? {} : { variables: { ...variables } }),
    }
    const events = client.iterate(payload)
    const close = (): void => void Promise.resolve(client.dispose()).catch(() => undefined)
    signal.addEventListener('abort', close, { once: true })
    const end = (): void => {
      signal.removeEventListener('abort', close)
      close()
    }
    return {
      [Symbol.asyncIterator]: () => ({
        async next() {
          try {
            const step = await events.next()
            if (step.done === true) end()
            return step.done === true
              ? step
              : { done: false, value: withErrorsOf(subgraph, step.value as ExecutionResult) }
          } catch (error) {
            end()
            // graphql-ws rejects with the GraphQL errors that refused the operation, or with how the socket closed.
            if (!Array.isArray(error)) throw unavailable(subgraph, error)
            return { done: false, value: withErrorsOf(subgraph, { errors: error as readonly GraphQLError[] }) }
          }
        },
        async return() {
          end()
          await events.return?.(undefined)
          return { done: true, value: undefined }
        },
      }),
    }
  }
}

/** As JSON they have lost what they are, and with it the place they speak of and the code that every error has. */
function withErrorsOf(subgraph: string, event: ExecutionResult): ExecutionResult {
  const { errors, ...rest } = event
  const told = readErrors(errors)
  if (told.length === 0) return rest
  return { ...rest, errors: told.map((error) => subgraphError(error, subgraph, error.path)) }
}

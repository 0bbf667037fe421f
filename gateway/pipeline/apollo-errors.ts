/** What Apollo Server does to errors on their way to the client, which it offers to no one: for `known-operation.ts`. */
import { HeaderMap, type HTTPGraphQLHead } from '@apollo/server'
import { GraphQLError, type GraphQLFormattedError, Kind } from 'graphql'

export type FormatError = (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError

/** Errors as clients see them, and the status and headers that they bring. */
export function formatErrors(
  errors: readonly unknown[],
  formatError: FormatError,
): { formatted: GraphQLFormattedError[]; head: HTTPGraphQLHead } {
  const head: HTTPGraphQLHead = { headers: new HeaderMap() }
  const formatted = errors.map((error) => {
    try {
      return formatError(enriched(error, head), error)
    } catch {
      return { message: 'Internal server error', extensions: { code: 'INTERNAL_SERVER_ERROR' } }
    }
  })
  return { formatted, head }
}

function enriched(given: unknown, head: HTTPGraphQLHead): GraphQLFormattedError {
  const error = asGraphqlError(given)
  const { http, ...extensions } = error.extensions
  if (isHead(http)) mergeHead(head, http)
  const kept = http === undefined || isHead(http) ? extensions : { ...extensions, http }
  return { ...error.toJSON(), extensions: { ...kept, code: error.extensions['code'] ?? 'INTERNAL_SERVER_ERROR' } }
}

export function mergeHead(target: HTTPGraphQLHead, source: Partial<HTTPGraphQLHead>): void {
  if (source.status) target.status = source.status
  for (const [name, value] of source.headers ?? []) target.headers.set(name, value)
}

function isHead(value: unknown): value is Partial<HTTPGraphQLHead> {
  if (typeof value !== 'object' || value === null) return false
  const { status, headers } = value as { status?: unknown; headers?: unknown }
  return (!('status' in value) || typeof status === 'number') && (!('headers' in value) || headers instanceof Map)
}

export function asGraphqlError(given: unknown): GraphQLError {
  if (given instanceof GraphQLError) return given
  if (!(given instanceof Error)) return new GraphQLError(`Unexpected error value: ${String(given)}`)
  return new GraphQLError(given.message, { originalError: given })
}

/** What graphql-js says of a variable has no code. */
export function withCode(error: GraphQLError): GraphQLError {
  const [node, second] = error.nodes ?? []
  if (error.extensions['code'] != null || second !== undefined || node?.kind !== Kind.VARIABLE_DEFINITION) return error
  const start = `Variable "$${node.variable.name.value}" `
  const told = ['has invalid value', 'got invalid value ', 'of required type ', 'of non-null type ']
  if (!told.some((text) => error.message.startsWith(start + text))) return error
  const coded = new GraphQLError(error.message, {
    nodes: error.nodes ?? null,
    originalError: error.originalError ?? error,
    extensions: { ...error.extensions, code: 'BAD_USER_INPUT' },
  })
  coded.name = 'UserInputError'
  return coded
}

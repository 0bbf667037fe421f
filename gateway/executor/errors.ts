/**
 * What subgraphs say went wrong, as errors of the client's answer: the path they name is relative to their own
 * operation and becomes the place in the client's answer, once for every place that the failed entity has in it.
 */
import { GraphQLError } from 'graphql'
import { own, isObject } from './json.ts'

export type Path = readonly (string | number)[]

/** An error of a subgraph as it comes: a GraphQLError in process, parsed JSON over HTTP. */
export interface SubgraphError {
  readonly message: string
  readonly path?: Path | undefined
  readonly extensions?: Readonly<Record<string, unknown>> | undefined
  /** The error this one was made of, when it was not taken as it came. */
  readonly original?: Error | undefined
}

/**
 * The `errors` of an answer, whatever they are: one that is malformed must not cost the data beside it, so what can be
 * read of it is kept.
 */
export function readErrors(errors: unknown): readonly SubgraphError[] {
  if (errors === undefined || errors === null) return []
  return (Array.isArray(errors) ? errors : [errors]).map(readError)
}

function readError(error: unknown): SubgraphError {
  if (error instanceof GraphQLError) return error
  if (!isObject(error)) return { message: typeof error === 'string' ? error : '' }
  const { message, path, extensions } = error
  return {
    message: typeof message === 'string' ? message : '',
    ...(isPath(path) ? { path } : {}),
    ...(isObject(extensions) ? { extensions } : {}),
    ...(error instanceof Error ? { original: error } : {}),
  }
}

function isPath(value: unknown): value is Path {
  return Array.isArray(value) && value.every((step) => typeof step === 'string' || typeof step === 'number')
}

export function subgraphError(error: SubgraphError, subgraph: string, path: Path | undefined): GraphQLError {
  const original = error instanceof Error ? error : error.original
  return new GraphQLError(error.message || `Error while fetching subquery from service "${subgraph}"`, {
    ...(original === undefined ? {} : { originalError: original }),
    ...(path === undefined ? {} : { path }),
    extensions: {
      ...error.extensions,
      serviceName: subgraph,
      ...(error.extensions?.code === undefined ? { code: 'DOWNSTREAM_SERVICE_ERROR' } : {}),
    },
  })
}

/** Every place at a plan's path (`@` stands for the items of a list) that holds something, with what it holds. */
export function placesAt(path: readonly string[], data: unknown): { path: Path; value: unknown }[] {
  const places: { path: Path; value: unknown }[] = []
  collect(path, 0, data, [], places)
  return places
}

function collect(
  path: readonly string[],
  at: number,
  data: unknown,
  parent: Path,
  places: { path: Path; value: unknown }[],
): void {
  if (data === null || data === undefined) return
  const head = path[at]
  if (Array.isArray(data) && head !== undefined) {
    for (const [index, item] of data.entries()) {
      collect(path, head === '@' ? at + 1 : at, item, [...parent, index], places)
    }
  } else if (head === undefined) {
    places.push({ path: parent, value: data })
  } else if (isObject(data)) {
    collect(path, at + 1, own(data, head), [...parent, head], places)
  }
}

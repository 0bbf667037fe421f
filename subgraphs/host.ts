import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLScalarType,
  type GraphQLSchema,
  Kind,
  parse,
  validate,
} from 'graphql'
import { buildSubgraphSchema } from '@apollo/subgraph'
import { LRUCache } from 'lru-cache'
import { gather } from '../core/gather.ts'
import { isAppError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { decodePosition, encodePosition, mergePositions } from '../core/position.ts'
import type { RequestContext } from '../core/request.ts'
import type { SubgraphExecutor, SubgraphRequest } from '../core/subgraph-executor.ts'
import { dateTimeScalar, jsonScalar, positionScalar, streamVersionScalar } from '../schema/scalars.ts'
import { type SubgraphName, subgraphSdl } from '../schema/sdl.ts'
import type { Store } from '../store/store.ts'
import { createSubgraphContext, type SubgraphContext } from './context.ts'
import { presentError } from './errors.ts'
import { positionOf } from './events.ts'
import { createSharedEvents } from './shared-events.ts'

/** Query texts kept parsed and validated; a gateway sends the same few texts over and over. */
const maxDocuments = 1000
/** How long reading for one event of a subscription may take. */
const eventTimeoutMs = 30_000
/** Events of a subscription that are read together, and as many may wait. */
const eventsMax = 32

export interface SubgraphHost {
  readonly name: SubgraphName
  readonly schema: GraphQLSchema
  /** Answers without copying: what resolvers return is what the caller gets, in objects of its own. */
  readonly execute: SubgraphExecutor
}

/**
 * One subgraph in this process. All fetches of one client operation come with the same `RequestContext` and share one set
 * of loaders; events of a subscription get their own, those that arrive together one for all, since they are read later.
 */
export function createSubgraphHost(deps: {
  name: SubgraphName
  resolvers: object
  store: Store
  logger: Logger
  /** False only to measure what loading one by one would cost. */
  batching?: boolean
}): SubgraphHost {
  const { name, store, logger, batching = true } = deps
  const schema = buildSchema(name, deps.resolvers as ResolverMap)
  const contexts = new WeakMap<RequestContext, SubgraphContext>()
  const shared = createSharedEvents()
  const documents = new LRUCache<string, CheckedDocument>({ max: maxDocuments })
  const checked = new WeakMap<DocumentNode, CheckedDocument>()

  const newContext = (request: RequestContext) => createSubgraphContext({ subgraph: name, store, batching }, request)

  function contextOf(request: RequestContext): SubgraphContext {
    const known = contexts.get(request)
    if (known !== undefined) return known
    const made = newContext(request)
    contexts.set(request, made)
    return made
  }

  function documentOf(request: SubgraphRequest): CheckedDocument {
    const known = request.document === undefined ? documents.get(request.query) : checked.get(request.document)
    if (known !== undefined) return known
    const made = check(schema, () => request.document ?? parse(request.query, { maxTokens: 50_000 }))
    if (request.document === undefined) documents.set(request.query, made)
    else checked.set(request.document, made)
    return made
  }

  async function answer(request: SubgraphRequest, log: { logger: Logger; requestId: string }) {
    const { document, errors } = documentOf(request)
    if (document === undefined) {
      return { errors: errors.map((error) => presentError(error, log, 'GRAPHQL_VALIDATION_FAILED')) }
    }
    const args = {
      schema,
      document,
      variableValues: request.variables ?? null,
      operationName: request.operationName ?? null,
    }
    const run = async (contextValue: SubgraphContext, rootValue?: unknown): Promise<ExecutionResult> => {
      const result = await execute({ ...args, contextValue, rootValue })
      if (result.errors === undefined) return result
      const errors = contextValue.lists.named(result.errors)
      return { ...result, errors: errors.map((error) => presentError(error, log)) }
    }
    if (request.kind !== 'subscription') return run(contextOf(request.context))

    const leaving = new AbortController()
    const signal = AbortSignal.any([request.context.signal, leaving.signal])
    const subscriber: RequestContext = { ...request.context, signal }
    const events = await createSourceEventStream({ ...args, contextValue: newContext(subscriber) })
    if (!(Symbol.asyncIterator in events)) {
      return { ...events, errors: (events.errors ?? []).map((error) => presentError(error, log)) }
    }
    const results = resultsOf(
      events,
      (batch) => {
        const positions = batch.map(positionOf)
        // Read at a position that includes them all, here and by whoever completes them: nothing in an event lags what it
        // tells of. Not the first subscriber's signal: others may wait for the same event when that one leaves.
        const batchContext = once(() => {
          const limits = { signal: AbortSignal.timeout(eventTimeoutMs), deadlineMs: Date.now() + eventTimeoutMs }
          const tokens = positions.flatMap((position) => (position === undefined ? [] : [decodePosition(position)]))
          return newContext({ ...subscriber, ...limits, position: encodePosition(tokens.reduce(mergePositions)) })
        })
        return batch.map((event, index) => {
          const position = positions[index]
          if (position === undefined) return run(newContext(subscriber), event)
          return shared.resultOf(request, event, async () => {
            const result = await run(batchContext(), event)
            return { ...result, extensions: { ...result.extensions, position } }
          })
        })
      },
      (failure) => ({
        errors: [presentError(new GraphQLError('', { originalError: failure as Error }), log)],
      }),
    )
    return leavable(results, () => leaving.abort())
  }

  return {
    name,
    schema,
    async execute(request) {
      const log = { logger, requestId: request.context.requestId }
      try {
        return await answer(request, log)
      } catch (error) {
        // What the request carries is wrong, for example its position: that is an answer, too.
        if (!isAppError(error)) throw error
        return { errors: [presentError(new GraphQLError('', { originalError: error }), log)] }
      }
    },
  }
}

/** A failed source ends the stream with a last result that says why, since a throw would lose code and masking. */
async function* resultsOf(
  events: AsyncIterable<unknown>,
  run: (batch: readonly unknown[]) => readonly Promise<ExecutionResult>[],
  failed: (failure: unknown) => ExecutionResult,
): AsyncGenerator<ExecutionResult, void, void> {
  const gathering = gather(events, eventsMax)
  try {
    for (let batch = await gathering.next(); batch !== undefined; batch = await gathering.next()) {
      const results = run(batch)
      void Promise.allSettled(results).then(() => gathering.pause())
      for (const result of results) yield await result
    }
  } catch (error) {
    yield failed(error)
  } finally {
    await gathering.end()
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** A generator that waits for its next event hears `return` only after it: so leaving is said by the signal first. */
function leavable<T>(results: AsyncGenerator<T, void, void>, leave: () => void): AsyncGenerator<T, void, void> {
  return {
    next: () => results.next(),
    return(value) {
      leave()
      return results.return(value)
    },
    throw(error) {
      leave()
      return results.throw(error)
    },
    [Symbol.asyncIterator]() {
      return this
    },
    async [Symbol.asyncDispose]() {
      await this.return()
    },
  }
}

type CheckedDocument =
  | { document: DocumentNode; errors: readonly [] }
  | { document: undefined; errors: readonly GraphQLError[] }

function check(schema: GraphQLSchema, read: () => DocumentNode): CheckedDocument {
  let document: DocumentNode
  try {
    document = read()
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
    const { message, source, positions } = error
    const place = { source: source ?? null, positions: positions ?? null }
    const coded = new GraphQLError(message, { ...place, extensions: { code: 'GRAPHQL_PARSE_FAILED' } })
    return { document: undefined, errors: [coded] }
  }
  const errors = validate(schema, document)
  return errors.length === 0 ? { document, errors: [] } : { document: undefined, errors }
}

type ResolverMap = Record<string, Record<string, GraphQLFieldResolver<unknown, SubgraphContext>> | GraphQLScalarType>

function buildSchema(name: SubgraphName, resolvers: ResolverMap): GraphQLSchema {
  const typeDefs = parse(subgraphSdl(name))
  const declared = new Set(
    typeDefs.definitions.flatMap((d) => (d.kind === Kind.SCALAR_TYPE_DEFINITION ? [d.name.value] : [])),
  )
  const scalars = [dateTimeScalar, jsonScalar, positionScalar, streamVersionScalar].filter((scalar) =>
    declared.has(scalar.name),
  )
  return buildSubgraphSchema([
    { typeDefs, resolvers: { ...resolvers, ...Object.fromEntries(scalars.map((scalar) => [scalar.name, scalar])) } },
  ])
}

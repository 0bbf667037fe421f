/**
 * The gateway that Apollo Server takes, with plans executed by us. Apollo Server parses and validates, Apollo's planner
 * plans, `execution.ts` runs the plan, and the subgraphs are reached only through the `SubgraphExecutor`. The
 * `contextValue` of every operation is its `RequestContext`.
 */
import type { ApolloServerOptionsWithGateway } from '@apollo/server'
import {
  GraphQLError,
  OperationTypeNode,
  parse,
  print,
  validate,
  type DocumentNode,
  type ExecutionResult,
  type GraphQLSchema,
} from 'graphql'
import { AppError, isAppError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { RequestContext } from '../../core/request.ts'
import type { SubgraphExecutor } from '../../core/subgraph-executor.ts'
import { planOperation, planText } from '../planner/plan-operation.ts'
import type { PlanningThread } from '../planner/planning-thread.ts'
import type { SupergraphSource } from '../planner/supergraph-source.ts'
import { asResult, type Answer } from './answer.ts'
import { createDispatch, type Dispatch, type SentRequest } from './dispatch.ts'
import { createEventRuns } from './event-runs.ts'
import { runPlan } from './execution.ts'
import type { JsonObject } from './json.ts'
import { prepareOperation, type CompiledOperation } from './operation.ts'
import { createRuntime, warmUp, type Runtime } from './runtime.ts'
import type { Sharing } from './sharing.ts'
import { fetchRequest } from './subgraph-request.ts'
import { answerEvents } from './subscription.ts'
import type { Variables } from './variables.ts'

export type GatewayInterface = NonNullable<ApolloServerOptionsWithGateway<RequestContext>['gateway']>

export interface FederatedGatewayOptions {
  readonly supergraph: SupergraphSource
  readonly executor: SubgraphExecutor
  readonly logger: Logger
  /** Compiled operations kept for each supergraph. Default 1,000. */
  readonly operationsMax?: number
  /** Answers with more list items than this are written in slices, so that nobody else waits for them. Default 2,000. */
  readonly itemsMax?: number
  /** Entity fetches to one subgraph that are ready together leave as one operation. Default true. */
  readonly batching?: boolean
  /** How long a fetch that no other waits for may wait for one to its subgraph that is to follow. Default 50 ms. */
  readonly patienceMs?: number | undefined
  /** Absent: nothing in flight is shared. */
  readonly sharing?: Sharing
  /** Whether this request's answer carries `extensions.plan`. MUST be the right of developers or administrators. */
  readonly explain?: (context: RequestContext) => boolean
  /** For operations that are not small; absent: they are planned here, however long that takes. Not owned. */
  readonly planning?: PlanningThread
  /** How long one event of a subscription may take. Default 30 s. */
  readonly eventTimeoutMs?: number
}

export interface OperationArguments {
  readonly document: DocumentNode
  readonly operationName?: string | undefined
  readonly variables?: Variables | undefined
  readonly context: RequestContext
}

/** An operation that was validated against `schema`. */
export interface ValidatedOperation {
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  /** Names the document's text. */
  readonly queryHash: string
  readonly operationName: string | undefined
  readonly variables: Variables
  readonly context: RequestContext
}

export interface GatewayHealth {
  /** SHA-256 of the supergraph in service; `undefined` before the first. */
  readonly supergraphId: string | undefined
  readonly source: string
  readonly operations: number
  /** The last supergraph that was offered and refused, until a good one comes. */
  readonly refused: { readonly atMs: number; readonly reason: string } | undefined
}

export interface FederatedGateway extends AsyncDisposable {
  /** For Apollo Server. Its answers' `data` is `AnswerData`: give `stringifyResult` to the server as well. */
  readonly gateway: GatewayInterface
  /** What Apollo Server's executor answers, for who has its document from Apollo Server. */
  answer(operation: ValidatedOperation): Promise<Answer>
  /** Loads the supergraph; Apollo Server's start does the same. Loading twice is loading once. */
  load(): Promise<void>
  /** The schema that clients see, for validation outside Apollo Server. */
  schema(): GraphQLSchema
  /** A validated query or mutation; `data` is a plain object. */
  execute(operation: OperationArguments): Promise<ExecutionResult>
  /** The same, with `data` to be written by `stringifyResult`. */
  executeText(operation: OperationArguments): Promise<Answer>
  /** A validated subscription: its events, or a single result when it could not start. */
  subscribe(operation: OperationArguments): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult>
  /** The plan as text. @throws GraphQLError when the query does not fit the schema. */
  explainPlan(query: string, operationName?: string): string
  /** The URL that the supergraph in service names for a subgraph. */
  urlOf(subgraph: string): string | undefined
  health(): GatewayHealth
  /** Resolves when a supergraph that was offered is in service or refused. */
  settled(): Promise<void>
}

const warmOperations = 100

export function createFederatedGateway(options: FederatedGatewayOptions): FederatedGateway {
  const {
    executor,
    logger,
    sharing,
    batching = true,
    patienceMs,
    operationsMax = 1_000,
    itemsMax = 2_000,
    eventTimeoutMs = 30_000,
  } = options
  const runtimes = new WeakMap<GraphQLSchema, Runtime>()
  const listeners = new Set<Parameters<GatewayInterface['onSchemaLoadOrUpdate']>[0]>()
  const documentKeys = new WeakMap<DocumentNode, string>()
  const answerEvent = createEventRuns({ executor, sharing, batching, patienceMs, timeoutMs: eventTimeoutMs })
  let current: Runtime | undefined
  let refused: GatewayHealth['refused']
  let loading: Promise<() => Promise<void>> | undefined
  let changing = Promise.resolve()

  function serving(): Runtime {
    if (current === undefined) throw new AppError('OVERLOADED', 'The supergraph is not loaded yet.')
    return current
  }

  function serve(runtime: Runtime): void {
    const { schema, sdl } = runtime.supergraph
    runtimes.set(schema, runtime)
    current = runtime
    refused = undefined
    for (const listener of listeners) listener({ apiSchema: schema, coreSupergraphSdl: sdl })
  }

  /** A text that is no good supergraph is refused, and the one in service goes on. */
  async function replace(sdl: string): Promise<void> {
    const previous = serving()
    if (sdl === previous.supergraph.sdl) return
    try {
      const next = createRuntime(sdl, { operationsMax, itemsMax, planning: options.planning })
      const warmed = await warmUp(next, previous, warmOperations)
      serve(next)
      logger.info({ supergraph: next.supergraph.id, warmed }, 'A new supergraph is in service.')
    } catch (error) {
      refused = { atMs: Date.now(), reason: error instanceof Error ? error.message : 'unknown' }
      logger.error({ error }, 'A supergraph was refused; the last one goes on.')
    }
  }

  /** One change after the other. */
  function change(sdl: string): void {
    changing = changing.then(() => replace(sdl))
  }

  function load(): Promise<() => Promise<void>> {
    loading ??= (async () => {
      const { sdl, stop } = await options.supergraph.start(change)
      try {
        serve(createRuntime(sdl, { operationsMax, itemsMax, planning: options.planning }))
      } catch (cause) {
        await stop()
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new AppError('CONFIG_INVALID', `The supergraph cannot be used: ${reason}`, { cause })
      }
      return stop
    })()
    return loading
  }

  async function stop(): Promise<void> {
    const stopping = await loading?.catch(() => undefined)
    await stopping?.()
    await changing
  }

  function keyOf(document: DocumentNode): string {
    const known = documentKeys.get(document)
    if (known !== undefined) return known
    const key = print(document)
    documentKeys.set(document, key)
    return key
  }

  /** The operation, or the error that says why it cannot be planned. */
  async function compiled(
    runtime: Runtime,
    key: string,
    document: DocumentNode,
    name: string | undefined,
  ): Promise<CompiledOperation | GraphQLError> {
    try {
      return await runtime.operation(name === undefined ? key : `${name}\n${key}`, document, name)
    } catch (error) {
      if (isAppError(error)) logger.warn({ error, operation: key }, 'an operation could not be planned')
      return refusalOf(error)
    }
  }

  function run(
    runtime: Runtime,
    operation: CompiledOperation | GraphQLError,
    key: string,
    variables: Variables,
    context: RequestContext,
  ): Promise<Answer> | Answer {
    if (operation instanceof GraphQLError) return { errors: [operation] }
    const errors = operation.checkVariables(variables)
    if (errors.length > 0) return { errors }
    if (operation.definition.operation === OperationTypeNode.MUTATION)
      return runMutation(runtime, operation, variables, context)
    if (sharing?.queries === undefined || options.explain?.(context) === true) {
      return runOnce(runtime, operation, variables, context)
    }
    const { key: audience, group } = sharing.audienceOf(context.principal, operation.isPublic)
    const shareKey = JSON.stringify([
      audience,
      sharing.scopeOf(context),
      runtime.supergraph.id,
      operation.operationName ?? '',
      variables,
    ])
    return sharing.queries.join(`${shareKey}${key}`, group, context.signal, (signal) =>
      runOnce(runtime, operation, variables, { ...context, signal }),
    )
  }

  async function runMutation(
    runtime: Runtime,
    operation: CompiledOperation,
    variables: Variables,
    context: RequestContext,
  ): Promise<Answer> {
    sharing?.exclude(context)
    try {
      return await runOnce(runtime, operation, variables, context)
    } finally {
      sharing?.mutated(context)
    }
  }

  async function runOnce(
    runtime: Runtime,
    operation: CompiledOperation,
    variables: Variables,
    context: RequestContext,
    data: JsonObject = {},
    shared?: Dispatch,
  ): Promise<Answer> {
    const sent: SentRequest[] | undefined = options.explain?.(context) === true ? [] : undefined
    const executed = await runPlan(operation.root, {
      schema: runtime.supergraph.fullSchema,
      interfaceObjects: runtime.supergraph.interfaceObjects,
      variables,
      conditions: operation.conditions(variables),
      context,
      data,
      dispatch:
        shared ??
        createDispatch({
          executor,
          context,
          batched: batching ? operation.batched : undefined,
          patienceMs,
          onSent: sent && ((request) => sent.push(request)),
        }),
    })
    const answered = operation.answer(executed, variables, context.signal)
    const answer = withPartial(answered instanceof Promise ? await answered : answered, context)
    if (sent === undefined) return answer
    return {
      ...answer,
      extensions: { ...answer.extensions, plan: { text: planText(operation.queryPlan), fetches: sent } },
    }
  }

  async function answer(operation: ValidatedOperation): Promise<Answer> {
    const { schema, document, queryHash, operationName, variables, context } = operation
    const runtime = runtimes.get(schema) ?? serving()
    return run(runtime, await compiled(runtime, queryHash, document, operationName), queryHash, variables, context)
  }

  async function executeText({ document, operationName, variables, context }: OperationArguments): Promise<Answer> {
    const runtime = serving()
    const key = keyOf(document)
    return run(runtime, await compiled(runtime, key, document, operationName), key, variables ?? {}, context)
  }

  async function subscribe(args: OperationArguments): ReturnType<FederatedGateway['subscribe']> {
    const { document, operationName, variables = {}, context } = args
    const runtime = serving()
    const operation = await compiled(runtime, keyOf(document), document, operationName)
    if (operation instanceof GraphQLError) return { errors: [operation] }
    const { primary } = operation
    if (primary === undefined) return asResult(await executeText(args))
    const errors = operation.checkVariables(variables)
    if (errors.length > 0) return { errors }
    const controller = new AbortController()
    const signal = AbortSignal.any([context.signal, controller.signal])
    const used = Object.fromEntries(
      primary.variableUsages.filter((name) => variables[name] !== undefined).map((name) => [name, variables[name]]),
    )
    const call = { fetch: primary, variables: used, texts: undefined, objects: undefined }
    const source = await executor(fetchRequest(call, { ...context, signal }), signal)
    if (!(Symbol.asyncIterator in source)) return source

    const answer = answerEvent({
      operation,
      variables,
      context,
      alone: options.explain?.(context) === true,
      run: (eventContext, data, dispatch) => runOnce(runtime, operation, variables, eventContext, data, dispatch),
    })
    return answerEvents(source, answer, () => controller.abort())
  }

  return {
    gateway: {
      onSchemaLoadOrUpdate(callback) {
        listeners.add(callback)
        return () => void listeners.delete(callback)
      },
      async load() {
        const loaded = loading !== undefined
        await load()
        if (loaded) {
          // Loaded before Apollo Server came: it learns the schema as if it were loaded now.
          const { schema, sdl } = serving().supergraph
          for (const listener of listeners) listener({ apiSchema: schema, coreSupergraphSdl: sdl })
        }
        return {
          async executor({ request, document, queryHash, schema, context }) {
            const { operationName, variables = {} } = request
            const given = { schema, document, queryHash, operationName, variables, context: context as RequestContext }
            const answered = await answer(given)
            // Without HTTP nobody writes text: programs that call the server's `executeOperation` look at the data.
            return (request.http === undefined ? asResult(answered) : answered) as ExecutionResult
          },
        }
      },
      stop,
    },
    answer,
    async load() {
      await load()
    },
    schema: () => serving().supergraph.schema,
    async execute(args) {
      return asResult(await executeText(args))
    },
    executeText,
    subscribe,
    explainPlan(query, operationName) {
      const runtime = serving()
      const document = parse(query)
      const [error] = validate(runtime.supergraph.schema, document)
      if (error !== undefined) throw error
      try {
        const { names } = prepareOperation(runtime.supergraph, document, operationName)
        return planText(planOperation(runtime.supergraph, names.document, operationName))
      } catch (refusal) {
        throw refusalOf(refusal)
      }
    },
    urlOf: (subgraph) => current?.supergraph.subgraphs.find(({ name }) => name === subgraph)?.url,
    health: () => ({
      supergraphId: current?.supergraph.id,
      source: options.supergraph.description,
      operations: current?.operations().length ?? 0,
      refused,
    }),
    settled: () => changing,
    [Symbol.asyncDispose]: stop,
  }
}
/** In the answer itself and not beside it: whoever shares the answer has to know, too. */
function withPartial(answer: Answer, { missingShards }: RequestContext): Answer {
  if (missingShards.size === 0) return answer
  return { ...answer, extensions: { ...answer.extensions, partial: { shards: [...missingShards].sort() } } }
}

/** What is not for clients is thrown. */
function refusalOf(error: unknown): GraphQLError {
  if (error instanceof GraphQLError) return error
  if (!isAppError(error)) throw error
  return new GraphQLError(error.message, { originalError: error, extensions: { code: error.code } })
}

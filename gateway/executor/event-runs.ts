/**
 * What is done for the events of a subscription that arrive together. Who may share an answer gets the one that is under
 * way; the others are run side by side, each with data and errors of its own, in one context: what they ask of a subgraph
 * at the same time leaves as one operation, and a subgraph in this process serves them with one set of loaders. They are
 * read at a state that includes all of them, so nothing lags the event it is told with.
 */
import type { ExecutionResult, GraphQLError } from 'graphql'
import { type ErrorCode, errorCodes, isAppError } from '../../core/errors.ts'
import { decodePosition, encodePosition, mergePositions } from '../../core/position.ts'
import { createStatementCounter, type RequestContext } from '../../core/request.ts'
import { withoutStart } from '../../core/starting-place.ts'
import type { SubgraphExecutor } from '../../core/subgraph-executor.ts'
import { pause } from '../../core/waker.ts'
import { asResult, type Answer } from './answer.ts'
import { createDispatch, type Dispatch } from './dispatch.ts'
import { createEventAnswers, type EventAnswers } from './event-answers.ts'
import { isObject, type JsonObject } from './json.ts'
import type { CompiledOperation } from './operation.ts'
import { principalKey, type Sharing } from './sharing.ts'
import type { Variables } from './variables.ts'

export interface RunningSubscription {
  readonly operation: CompiledOperation
  readonly variables: Variables
  readonly context: RequestContext
  /** Every event by itself: its own requests are to be seen. */
  readonly alone: boolean
  run(context: RequestContext, data: JsonObject, dispatch: Dispatch | undefined): Promise<Answer>
}

type AnswerEvents = (events: readonly ExecutionResult[]) => readonly Promise<ExecutionResult>[]

export function createEventRuns(deps: {
  executor: SubgraphExecutor
  sharing: Sharing | undefined
  batching: boolean
  patienceMs: number | undefined
  /** How long the events of one batch may take. */
  timeoutMs: number
}): (subscription: RunningSubscription) => AnswerEvents {
  const { executor, sharing, batching, patienceMs, timeoutMs } = deps
  const known = new WeakMap<CompiledOperation, EventAnswers>()

  function answersOf(operation: CompiledOperation): EventAnswers {
    const answers = known.get(operation) ?? createEventAnswers({ withCopies: operation.root !== undefined })
    known.set(operation, answers)
    return answers
  }

  return (subscription) => {
    const { operation, variables, context } = subscription
    const answers = answersOf(operation)
    const asked = withoutStart(operation.document, variables)
    const who = sharing?.audienceOf(context.principal, operation.isPublic).key ?? principalKey(context.principal)

    function keyOf(event: ExecutionResult): string {
      const scope = sharing?.scopeOf(contextAt(context, positionOf(event))) ?? positionOf(event) ?? context.position
      return JSON.stringify([who, scope, asked])
    }

    /** Events of one position, or of positions that can be read together. */
    function runTogether(events: readonly ExecutionResult[], position: string | undefined): Promise<ExecutionResult>[] {
      const batchContext: RequestContext = {
        ...contextAt(context, position),
        signal: AbortSignal.timeout(timeoutMs),
        deadlineMs: Date.now() + timeoutMs,
        startedMs: performance.now(),
        statements: createStatementCounter(),
        written: [],
        missingShards: new Set(),
      }
      const dispatch =
        events.length > 1 && batching
          ? createDispatch({
              executor,
              context: batchContext,
              batched: operation.batched,
              severalRuns: true,
              patienceMs,
              onSent: undefined,
            })
          : undefined
      // Completing an event changes it, and others may be given the same.
      const dataOf = ({ data }: ExecutionResult): JsonObject => (isObject(data) ? structuredClone(data) : {})
      return events.map(async (event) => {
        // Refused: there is nothing that could be completed.
        if (event.data == null && event.errors !== undefined) return event
        let answer = await subscription.run(batchContext, dataOf(event), dispatch)
        // Nothing of it would be left, its cursor neither: worth waiting for, if what is missing may come back.
        const given = AbortSignal.any([batchContext.signal, context.signal])
        for (let waitMs = 100; isLostForNow(answer) && !given.aborted; waitMs = Math.min(2 * waitMs, 1_000)) {
          await pause(waitMs, given)
          // Another context: what loaders found for the first is what failed.
          answer = await subscription.run({ ...batchContext }, dataOf(event), undefined)
        }
        return completed(event, answer)
      })
    }

    return (events) => {
      const fresh: ExecutionResult[] = []
      const settled = new Map<ExecutionResult, Promise<ExecutionResult>>()
      for (const event of events) {
        const answer = answers.find(event, keyOf(event))
        if (answer === undefined) fresh.push(event)
        else settled.set(event, answer)
      }
      for (const group of subscription.alone ? fresh.map(aloneAt) : together(fresh)) {
        for (const [index, answer] of runTogether(group.events, group.position).entries()) {
          const event = group.events[index]
          if (event === undefined) continue
          answers.keep(event, keyOf(event), answer)
          settled.set(event, answer)
        }
      }
      return events.flatMap((event) => settled.get(event) ?? [])
    }
  }
}

interface Group {
  readonly events: readonly ExecutionResult[]
  readonly position: string | undefined
}

const aloneAt = (event: ExecutionResult): Group => ({ events: [event], position: positionOf(event) })

/** Positions of our own shards are read together at what covers them all; what others call a position, at each its own. */
function together(events: readonly ExecutionResult[]): readonly Group[] {
  const byPosition = Map.groupBy(events, positionOf)
  const groups = Array.from(byPosition, ([position, same]): Group => ({ events: same, position }))
  if (groups.length < 2 || byPosition.has(undefined)) return groups
  try {
    const position = encodePosition(groups.map((group) => decodePosition(group.position ?? '')).reduce(mergePositions))
    return [{ events, position }]
  } catch {
    return groups
  }
}

function positionOf(event: ExecutionResult): string | undefined {
  const position = event.extensions?.['position']
  return typeof position === 'string' ? position : undefined
}

/** Each event is read at the state that it speaks of; one that names none, at what its subscriber asked for. */
function contextAt(context: RequestContext, position: string | undefined): RequestContext {
  return position === undefined ? context : { ...context, position }
}

/** Without data, for reasons that pass: a shard or a subgraph that is away, an overload. */
function isLostForNow({ data, errors = [] }: Answer): boolean {
  return data == null && errors.length > 0 && errors.every(isPassing)
}

function isPassing({ originalError, extensions: { code } }: GraphQLError): boolean {
  if (isAppError(originalError)) return originalError.retryable
  return typeof code === 'string' && Object.hasOwn(errorCodes, code) && errorCodes[code as ErrorCode].retry
}

function completed(event: ExecutionResult, answer: Answer): ExecutionResult {
  const errors = [...(event.errors ?? []), ...(answer.errors ?? [])]
  const extensions = { ...event.extensions, ...answer.extensions }
  return {
    ...asResult(answer),
    ...(errors.length === 0 ? {} : { errors }),
    ...(Object.keys(extensions).length === 0 ? {} : { extensions }),
  }
}

/**
 * From fetches to requests. Entity fetches of one execution that become ready in the same turn of the event loop and
 * go to the same subgraph leave as one operation: fetches that ask the same of different places are united, different
 * ones stand side by side under aliases. An answer is taken apart again, so a fetch never notices. What nothing waits
 * for leaves with a later fetch to its subgraph: at most `patienceMs` later, and at once when no request is under way
 * that could lead to one.
 */
import type { ExecutionResult } from 'graphql'
import type { RequestContext } from '../../core/request.ts'
import type { SubgraphExecutor } from '../../core/subgraph-executor.ts'
import type { BatchedOperations } from './batched-operation.ts'
import { readErrors, type Path, type SubgraphError } from './errors.ts'
import { isObject, own, type JsonObject } from './json.ts'
import { copyJson } from './merge.ts'
import type { CompiledFetch } from './plan.ts'
import { fetchRequest, joinedRequest } from './subgraph-request.ts'

export interface FetchCall {
  readonly fetch: CompiledFetch
  readonly variables: JsonObject
  /** The representations of an entity fetch as JSON text, each once. */
  readonly texts: readonly string[] | undefined
  readonly objects: (() => JsonObject[]) | undefined
}

export interface SubgraphAnswer {
  readonly data: unknown
  readonly errors: readonly SubgraphError[]
}

/** Rejects when the subgraph could not be asked. What comes back is the caller's to change. */
export type Dispatch = (call: FetchCall) => Promise<SubgraphAnswer>

export interface SentRequest {
  readonly subgraph: string
  /** The places of the plan that it serves. */
  readonly paths: readonly string[]
  readonly representations: number
  /** Since work for the client's operation began. */
  readonly startMs: number
  readonly durationMs: number
}

export interface DispatchOptions {
  readonly executor: SubgraphExecutor
  readonly context: RequestContext
  /** Absent: every fetch is a request of its own. */
  readonly batched: BatchedOperations | undefined
  /** Whether several runs of the plan send through this, so that what is ready in all of them leaves together. */
  readonly severalRuns?: boolean
  /** How long what nothing waits for may wait for a later fetch to its subgraph. Default 50 ms. */
  readonly patienceMs?: number | undefined
  /** Told of every request once it is answered. */
  readonly onSent: ((sent: SentRequest) => void) | undefined
}

interface Waiting {
  readonly call: FetchCall
  readonly resolve: (answer: SubgraphAnswer) => void
  readonly reject: (error: unknown) => void
}

/** Calls that ask the same (query and variables), with the union of their representations. */
export interface JoinedCall {
  readonly fetch: CompiledFetch
  readonly variables: JsonObject
  readonly texts: readonly string[]
  /** `indices`: where the member's representations are in the union; absent when it is alone. */
  readonly members: readonly { readonly waiting: Waiting; readonly indices: readonly number[] | undefined }[]
}

export function createDispatch(options: DispatchOptions): Dispatch {
  const { executor, context, batched, severalRuns = false, patienceMs = 50, onSent } = options
  /** What leaves at the end of this turn, by subgraph. */
  const queues = new Map<string, Waiting[]>()
  /** What waits for a later turn's. */
  const patient = new Map<string, Waiting[]>()
  let patienceEnds: NodeJS.Timeout | undefined
  let underWay = 0

  async function send(request: Parameters<SubgraphExecutor>[0], calls: readonly FetchCall[]): Promise<SubgraphAnswer> {
    const startMs = onSent === undefined ? 0 : performance.now()
    underWay += 1
    try {
      return answerOf(await executor(request, context.signal))
    } finally {
      underWay -= 1
      if (patient.size > 0 && underWay === 0) setImmediate(flushWhenIdle)
      onSent?.({
        subgraph: request.subgraph,
        paths: calls.map(({ fetch }) => fetch.path.join('.')),
        representations: calls.reduce((sum, { texts }) => sum + (texts?.length ?? 0), 0),
        startMs: startMs - context.startedMs,
        durationMs: performance.now() - startMs,
      })
    }
  }

  /** What brings nothing for several runs may be the fault of one of them, which is not to be the others'. */
  function sendAlone({ call, resolve, reject }: Waiting): void {
    send(fetchRequest(call, context), [call]).then(resolve, reject)
  }

  function flush(subgraph: string): void {
    const waiting = [...(queues.get(subgraph) ?? []), ...(patient.get(subgraph) ?? [])]
    queues.delete(subgraph)
    if (patient.delete(subgraph) && patient.size === 0) clearTimeout(patienceEnds)
    const [only, second] = waiting
    // All of it left before its turn ended, with what had waited long enough.
    if (only === undefined) return
    if (second === undefined) return sendAlone(only)
    const joined = joinCalls(waiting)
    const request = joinedRequest(joined, context, batched)
    send(
      request,
      waiting.map(({ call }) => call),
    ).then(
      (answer) => {
        for (const [index, part] of joined.entries()) {
          const own = partOf(answer, joined.length > 1 ? `_${index}` : '_entities')
          if (severalRuns && own.data === null) part.members.forEach(({ waiting: member }) => sendAlone(member))
          else settle(part, own)
        }
      },
      (error: unknown) => waiting.forEach(({ reject }) => reject(error)),
    )
  }

  function flushPatient(): void {
    for (const subgraph of patient.keys()) flush(subgraph)
  }

  function flushWhenIdle(): void {
    if (underWay === 0 && queues.size === 0) flushPatient()
  }

  return (call) => {
    if (batched === undefined || !batched.canJoin(call.fetch, severalRuns))
      return send(fetchRequest(call, context), [call])
    return new Promise((resolve, reject) => {
      const { subgraph, canWait } = call.fetch
      const where = canWait ? patient : queues
      const queue = where.get(subgraph)
      if (queue !== undefined) {
        queue.push({ call, resolve, reject })
        return
      }
      if (canWait && patient.size === 0) patienceEnds = setTimeout(flushPatient, patienceMs)
      where.set(subgraph, [{ call, resolve, reject }])
      // After everything that the current turn of the event loop brings: answers that arrived together are through.
      if (canWait) setImmediate(flushWhenIdle)
      else setImmediate(flush, subgraph)
    })
  }
}

function joinCalls(waiting: readonly Waiting[]): JoinedCall[] {
  const byQuestion = Map.groupBy(waiting, ({ call: { fetch, variables } }) =>
    fetch.variableUsages.length === 0 ? fetch.question : `${fetch.question}\n${JSON.stringify(variables)}`,
  )
  return Array.from(byQuestion.values(), joinSame)
}

function joinSame(waiting: readonly Waiting[]): JoinedCall {
  const [first, second] = waiting
  if (first === undefined) throw new Error('There is nothing to join.')
  const { fetch, variables, texts = [] } = first.call
  if (second === undefined) return { fetch, variables, texts, members: [{ waiting: first, indices: undefined }] }
  const indexOf = new Map<string, number>()
  const union: string[] = []
  const members = waiting.map((member) => {
    const indices = (member.call.texts ?? []).map((text) => {
      const index = indexOf.get(text)
      if (index !== undefined) return index
      indexOf.set(text, union.length)
      return union.push(text) - 1
    })
    return { waiting: member, indices }
  })
  return { fetch, variables, texts: union, members }
}

/** What of the answer belongs to one alias. An error without a path is everybody's. */
function partOf(answer: SubgraphAnswer, alias: string): SubgraphAnswer {
  const errors = answer.errors
    .filter(({ path }) => path === undefined || path.length === 0 || path[0] === alias)
    .map((error) => (error.path === undefined ? error : movedError(error, ['_entities', ...error.path.slice(1)])))
  const entities = isObject(answer.data) ? own(answer.data, alias) : undefined
  return { data: entities === undefined || entities === null ? null : { _entities: entities }, errors }
}

/** Gives every member its own entities: one that holds objects goes to the first that asked, the others get copies. */
function settle(part: JoinedCall, answer: SubgraphAnswer): void {
  const entities = isObject(answer.data) ? own(answer.data, '_entities') : undefined
  const given = new Set<number>()
  for (const { waiting, indices } of part.members) {
    if (indices === undefined) {
      waiting.resolve(answer)
      continue
    }
    const errors = answer.errors.flatMap((error) => {
      const position = error.path?.[1]
      if (typeof position !== 'number') return [error]
      const index = indices.indexOf(position)
      return index < 0 ? [] : [movedError(error, ['_entities', index, ...(error.path ?? []).slice(2)])]
    })
    if (!Array.isArray(entities) || entities.length !== part.texts.length) {
      waiting.resolve({ data: entities === undefined ? null : { _entities: entities }, errors })
      continue
    }
    const shared = waiting.call.fetch.brings.size > 0 || waiting.call.fetch.outputRewrites.length > 0
    const own: unknown[] = []
    for (const index of indices) {
      const entity: unknown = entities[index]
      own.push(shared && given.has(index) ? copyJson(entity) : entity)
      if (shared) given.add(index)
    }
    waiting.resolve({ data: { _entities: own }, errors })
  }
}

function movedError(error: SubgraphError, path: Path): SubgraphError {
  const { message, extensions } = error
  return { message, extensions, path, original: error instanceof Error ? error : error.original }
}

function answerOf(result: ExecutionResult | AsyncIterable<ExecutionResult>): SubgraphAnswer {
  if (Symbol.asyncIterator in result) throw new Error('The subgraph answered a query with a stream.')
  return { data: result.data, errors: readErrors(result.errors) }
}

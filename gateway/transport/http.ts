/**
 * A subgraph in another process, over HTTP: bounded, with deadlines, retried where that is safe, and left alone for a
 * while when it keeps failing. Subscriptions go over graphql-ws (`websocket.ts`).
 */
import { setTimeout as delay } from 'node:timers/promises'
import { circuitBreaker, CircuitState, handleWhen, isBrokenCircuitError, SamplingBreaker } from 'cockatiel'
import type { ExecutionResult } from 'graphql'
import { AppError, isAppError } from '../../core/errors.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import type { RequestContext } from '../../core/request.ts'
import type { SubgraphExecutor, SubgraphRequest } from '../../core/subgraph-executor.ts'
import type { Sharing } from '../executor/sharing.ts'
import { createHeaderBuilder, type HeaderOptions } from './headers.ts'
import { parseInTurns } from './parse-in-turns.ts'
import { createRetryBudget } from './retry-budget.ts'
import { createSubscriber } from './websocket.ts'
import { createWire, unavailable, type WireAnswer } from './wire.ts'

export interface HttpExecutorOptions extends HeaderOptions {
  readonly subgraph: string
  readonly url: string
  /** Where subscriptions are opened; default the same URL with `ws:` or `wss:`. */
  readonly subscriptionUrl?: string
  /** Default 64. */
  readonly connections?: number
  /** Requests under way and waiting for a connection; more are refused at once. Default 2,000. */
  readonly requestsMax?: number
  /** Longest wait for an answer; the request's own deadline may be nearer. Default 30 s. */
  readonly timeoutMs?: number
  /** A request that got no answer for as long counts as one that failed. Default 10 s. */
  readonly hangMs?: number
  /** Default 64 MiB. */
  readonly answerBytesMax?: number
  /** Answers of more characters than this are parsed in parts, so that nobody else waits for them. Default 1,000,000. */
  readonly parseMax?: number
  /** Further attempts for a read that did not reach the subgraph. Default 2. */
  readonly retries?: number
  /** Absent: identical reads in flight are not shared. Its `headers` MUST hold all that are passed on. */
  readonly sharing?: Sharing
  /** Told of every further attempt. */
  readonly onRetry?: () => void
  /** Told when it is left alone (`open`), with the last failure in words, and when it answers again. For logs only. */
  readonly onState?: (state: 'open' | 'closed', reason?: string) => void
}

export interface HttpExecutor extends AsyncDisposable {
  readonly execute: SubgraphExecutor
  /** `closed`: all is well; `open`: it failed too often and is not asked for a while. For health and metrics. */
  state(): 'closed' | 'open'
}

/** What our own subgraphs tell about an operation beside its answer. */
interface LedgerwayExtension {
  readonly statements?: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly written?: readonly string[]
  readonly missingShards?: readonly string[]
}

export function createHttpExecutor(options: HttpExecutorOptions): HttpExecutor {
  const { subgraph, sharing, timeoutMs = 30_000, retries = 2, requestsMax = 2_000, parseMax = 1_000_000 } = options
  const { hangMs = 10_000 } = options
  const wire = createWire({
    subgraph,
    url: options.url,
    connections: options.connections ?? 64,
    answerBytesMax: options.answerBytesMax ?? 64 * 1024 * 1024,
  })
  const headersOf = createHeaderBuilder(options)
  const isOurs = options.authorize !== undefined
  const budget = createRetryBudget({ share: 0.1, most: 10 })
  /** The deadlines that the subgraph missed by hanging, and not because little time was left. */
  const hung = new WeakSet<Error>()
  const breaker = circuitBreaker(
    handleWhen((error) => isAppError(error, 'SUBGRAPH_UNAVAILABLE') || (error instanceof Error && hung.has(error))),
    { halfOpenAfter: 2_000, breaker: new SamplingBreaker({ threshold: 0.5, duration: 5_000, minimumRps: 2 }) },
  )
  const subscribe = createSubscriber({ url: options.subscriptionUrl ?? options.url, subgraph, headersOf })
  let open = false
  const becomes = (state: 'open' | 'closed', reason?: string): void => {
    const changed = open !== (state === 'open')
    open = state === 'open'
    if (changed) options.onState?.(state, reason)
  }
  breaker.onBreak((broken) => becomes('open', 'error' in broken ? reasonOf(broken.error) : undefined))
  breaker.onReset(() => becomes('closed'))
  let underWay = 0

  async function post(
    body: string,
    headers: Record<string, string>,
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<string> {
    // A hundredth is kept for the rest: else the request's own end would take what other subgraphs gave along.
    const leftMs = Math.min(timeoutMs, (deadlineMs - Date.now()) * 0.99)
    const sent = isOurs ? { ...headers, 'ledgerway-deadline': String(Math.max(0, Math.floor(leftMs))) } : headers
    const answer = await wire.send({ headers: sent, body, signal, timeoutMs: leftMs }).catch((error: unknown) => {
      if (leftMs >= hangMs && isAppError(error, 'DEADLINE_EXCEEDED')) hung.add(error)
      throw error
    })
    if (!isGraphqlAnswer(answer)) throw unavailable(subgraph, new Error(`HTTP status ${answer.status}`))
    return answer.text
  }

  async function ask(
    request: SubgraphRequest,
    body: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<string> {
    if (underWay >= requestsMax) {
      throw new AppError('SUBGRAPH_UNAVAILABLE', `Too many requests to the subgraph "${subgraph}" are under way.`)
    }
    underWay += 1
    budget.earn()
    try {
      for (let attempt = 0; ; attempt++) {
        try {
          // One request finds out whether it answers again; the others would wait for that as long as it hangs.
          if (breaker.state === CircuitState.HalfOpen) throw unavailable(subgraph)
          return await breaker.execute(() => post(body, headers, request.context.deadlineMs, signal))
        } catch (error) {
          if (isBrokenCircuitError(error)) throw unavailable(subgraph, error)
          const retry = request.kind === 'query' && attempt < retries && isAppError(error, 'SUBGRAPH_UNAVAILABLE')
          if (!retry || !budget.spend()) throw error
          options.onRetry?.()
          await delay(20 * 2 ** attempt * (0.5 + Math.random()), undefined, { signal }).catch(() => undefined)
        }
      }
    } finally {
      underWay -= 1
    }
  }

  async function parsed(
    text: string,
    { parse = parseJsonText }: SubgraphRequest,
    signal: AbortSignal,
  ): Promise<unknown> {
    try {
      return text.length > parseMax ? await parseInTurns(text, signal) : parse(text)
    } catch (error) {
      throw error instanceof SyntaxError ? unavailable(subgraph, error) : error
    }
  }

  async function execute(request: SubgraphRequest, signal: AbortSignal): Promise<ExecutionResult> {
    const { context } = request
    const body = request.body ?? bodyOf(request)
    const made = headersOf(context)
    const headers = made instanceof Promise ? await made : made
    let text: string
    if (sharing?.reads === undefined || request.kind !== 'query' || sharing.isExcluded(context)) {
      text = await ask(request, body, headers, signal)
    } else {
      const { key: audience, group } = sharing.audienceOf(context.principal, request.isPublic === true)
      const key = JSON.stringify([subgraph, audience, sharing.scopeOf(context)]) + body
      text = await sharing.reads.join(key, group, signal, (shared) => ask(request, body, headers, shared))
    }
    return resultOf(await parsed(text, request, signal), subgraph, isOurs ? context : undefined)
  }

  return {
    execute: (request, signal) =>
      request.kind === 'subscription' ? subscribe(request, signal) : execute(request, signal),
    state: () => (open ? 'open' : 'closed'),
    [Symbol.asyncDispose]: () => wire[Symbol.asyncDispose](),
  }
}

/** What a failure comes from: clients are only told that it was. */
function reasonOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return error.cause instanceof Error && error.cause.message !== '' ? error.cause.message : error.message
}

function bodyOf({ query, operationName, variables }: SubgraphRequest): string {
  return JSON.stringify({ query, operationName, variables })
}

/** A GraphQL answer may come with any status; a proxy's error page may not pass for one. */
function isGraphqlAnswer({ status, text }: WireAnswer): boolean {
  return status < 300 || (text.startsWith('{') && (text.includes('"errors"') || text.includes('"data"')))
}

function resultOf(result: unknown, subgraph: string, ours: RequestContext | undefined): ExecutionResult {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) throw unavailable(subgraph)
  const answer = result as ExecutionResult & { extensions?: { ledgerway?: LedgerwayExtension } }
  const told = ours === undefined ? undefined : answer.extensions?.ledgerway
  if (told === undefined || ours === undefined) return answer
  if (told.statements !== undefined) ours.statements.add(told.statements)
  ours.written.push(...(told.written ?? []))
  for (const shard of told.missingShards ?? []) ours.missingShards.add(shard)
  delete answer.extensions?.ledgerway
  return answer
}

/**
 * Planning beside the event loop. A plan for a large operation can take Apollo's planner seconds, in one go and with no
 * bound of its own; so such operations are planned one after the other in a thread, which is ended when one takes longer
 * than the limit (or all the memory it may have), and begun anew for the next.
 */
import { Worker } from 'node:worker_threads'
import type { QueryPlan } from '@apollo/query-planner'
import { GraphQLError } from 'graphql'
import { AppError, type ErrorCode } from '../../core/errors.ts'
import type { PlanningAnswer, PlanningRequest } from './planning-worker.ts'

export interface PlanningThread extends AsyncDisposable {
  /** @throws AppError QUERY_TOO_COMPLEX, PLANNING_FAILED, OVERLOADED; GraphQLError as `planOperation` */
  plan(
    supergraph: { readonly id: string; readonly sdl: string },
    source: string,
    operationName: string | undefined,
  ): Promise<QueryPlan>
}

interface Job {
  readonly request: Required<PlanningRequest>
  readonly resolve: (plan: QueryPlan) => void
  readonly reject: (error: Error) => void
}

/** Operations that wait for the thread; more are refused at once. */
const waitingMax = 100
const memoryMax = { maxOldGenerationSizeMb: 512 }

/** @param limitMs how long one operation may be planned; the thread's own start does not count */
export function createPlanningThread({ limitMs }: { limitMs: number }): PlanningThread {
  const waiting: Job[] = []
  let running: Job | undefined
  let timer: NodeJS.Timeout | undefined
  let thread: { readonly worker: Worker; readonly supergraphs: Set<string> } | undefined
  let stopped = false

  function start(): NonNullable<typeof thread> {
    const worker = new Worker(new URL('planning-worker.ts', import.meta.url), { resourceLimits: memoryMax })
    const made = { worker, supergraphs: new Set<string>() }
    const lost = (cause?: unknown): void => {
      if (thread === made) abandon(cause)
    }
    worker.on('message', (answer: PlanningAnswer) => {
      if (thread === made) take(answer)
    })
    worker.on('error', lost)
    worker.on('exit', () => lost())
    // What waits for a plan keeps the process alive, not the thread.
    worker.unref()
    return made
  }

  function next(): void {
    if (running !== undefined || stopped) return
    running = waiting.shift()
    if (running === undefined) return
    thread ??= start()
    const { request } = running
    const { supergraphId, source, operationName } = request
    const isKnown = thread.supergraphs.has(supergraphId)
    thread.supergraphs.add(supergraphId)
    thread.worker.postMessage(isKnown ? { supergraphId, source, operationName } : request, [])
  }

  function take(answer: PlanningAnswer): void {
    if (answer.kind === 'began') {
      timer = setTimeout(abandon, limitMs)
      return
    }
    const job = finish()
    if (answer.kind === 'planned') job?.resolve(answer.plan)
    else job?.reject(errorOf(answer))
    next()
  }

  /** The thread cannot be told to stop what it does. */
  function abandon(cause?: unknown): void {
    void thread?.worker.terminate()
    thread = undefined
    finish()?.reject(
      new AppError('QUERY_TOO_COMPLEX', `The operation cannot be planned within ${limitMs} ms: ask for less at once.`, {
        details: { limitMs },
        ...(cause === undefined ? {} : { cause }),
      }),
    )
    next()
  }

  function finish(): Job | undefined {
    clearTimeout(timer)
    const job = running
    running = undefined
    return job
  }

  return {
    plan: (supergraph, source, operationName) =>
      new Promise((resolve, reject) => {
        if (stopped) return reject(new AppError('SHUTTING_DOWN', 'The server stops: ask again.'))
        if (waiting.length >= waitingMax) {
          return reject(new AppError('OVERLOADED', 'Too many operations wait for their plan.'))
        }
        const request = { supergraphId: supergraph.id, sdl: supergraph.sdl, source, operationName }
        waiting.push({ request, resolve, reject })
        next()
      }),
    async [Symbol.asyncDispose]() {
      stopped = true
      const { worker } = thread ?? {}
      thread = undefined
      const left = [finish(), ...waiting.splice(0)]
      for (const job of left) job?.reject(new AppError('SHUTTING_DOWN', 'The server stops: ask again.'))
      await worker?.terminate()
    },
  }
}

function errorOf({ code, isOurs, message, path }: Extract<PlanningAnswer, { kind: 'failed' }>): Error {
  if (isOurs) return new AppError(code as ErrorCode, message)
  return new GraphQLError(message, { ...(path === undefined ? {} : { path }), extensions: { code } })
}

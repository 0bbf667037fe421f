/**
 * Runs a compiled plan for one client operation. A fetch that fails leaves its error and what it did not bring; the
 * rest of the plan goes on with what is there.
 */
import { GraphQLError, type GraphQLSchema } from 'graphql'
import { isAppError } from '../../core/errors.ts'
import type { RequestContext } from '../../core/request.ts'
import type { Dispatch } from './dispatch.ts'
import { commonPath, runFetch, type FetchState } from './fetch.ts'
import type { JsonObject } from './json.ts'
import { FoundPlaces } from './places.ts'
import type { CompiledFetch, CompiledNode } from './plan.ts'

export interface Execution {
  readonly schema: GraphQLSchema
  /** Interfaces that are objects to some subgraph; absent where there are none. */
  readonly interfaceObjects: ReadonlySet<string> | undefined
  readonly variables: Readonly<Record<string, unknown>>
  /** Values of the variables that conditions name, defaults applied. */
  readonly conditions: Readonly<Record<string, unknown>>
  readonly context: RequestContext
  readonly dispatch: Dispatch
  /** What is there before the plan runs: empty, or the event of a subscription. */
  readonly data: JsonObject
}

export interface Executed {
  readonly data: JsonObject
  readonly errors: GraphQLError[]
}

export async function runPlan(root: CompiledNode | undefined, execution: Execution): Promise<Executed> {
  const state: FetchState = { ...execution, places: new FoundPlaces(), errors: [] }
  if (root !== undefined) await runNode(root, execution, state)
  return state
}

async function runNode(node: CompiledNode, execution: Execution, state: FetchState): Promise<void> {
  switch (node.kind) {
    case 'sequence':
      for (const child of node.nodes) await runNode(child, execution, state)
      return
    case 'parallel':
      await Promise.all(node.nodes.map((child) => runNode(child, execution, state)))
      return
    case 'condition': {
      const branch = execution.conditions[node.variable] === true ? node.whenTrue : node.whenFalse
      if (branch !== undefined) await runNode(branch, execution, state)
      return
    }
    case 'fetch':
      try {
        await runFetch(node, state)
      } catch (error) {
        state.errors.push(fetchFailure(error, node))
      }
      return
    default:
      node satisfies never
  }
}

/** A subgraph that could not be asked, or whose answer is no answer to what was asked. */
function fetchFailure(error: unknown, fetch: CompiledFetch): GraphQLError {
  if (error instanceof GraphQLError) return error
  const extensions = { serviceName: fetch.subgraph }
  const path = commonPath(fetch)
  const place = path === undefined ? {} : { path }
  if (isAppError(error)) {
    return new GraphQLError(error.message, {
      ...place,
      originalError: error,
      extensions: { ...error.details, code: error.code, ...extensions },
    })
  }
  return new GraphQLError(`The subgraph "${fetch.subgraph}" could not be asked.`, {
    ...place,
    ...(error instanceof Error ? { originalError: error } : {}),
    extensions: { code: 'SUBGRAPH_UNAVAILABLE', ...extensions },
  })
}

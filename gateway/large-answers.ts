/**
 * Answers that were written in slices on their way past Apollo Server, whose pipeline takes an answer as one text: the
 * text it is given is empty, and what it answers over HTTP is replaced by the pieces, with its status and headers.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { HTTPGraphQLResponse } from '@apollo/server'
import type { ExecutionResult, FormattedExecutionResult } from 'graphql'
import type { RequestContext } from '../core/request.ts'
import { SlicedData } from './executor/answer.ts'

export interface LargeAnswers {
  /** To be told of every finished result, before it is written. */
  note(context: RequestContext, result: FormattedExecutionResult): void
  /** The response with the noted result as its body, where that is a large one. */
  instead(response: HTTPGraphQLResponse, context: RequestContext): HTTPGraphQLResponse
}

export function createLargeAnswers(): LargeAnswers {
  /** By the request's signal: of the context itself Apollo Server makes a copy. */
  const noted = new WeakMap<AbortSignal, FormattedExecutionResult>()
  return {
    note(context, result) {
      if (isLarge(result)) noted.set(context.signal, result)
    },
    instead(response, context) {
      const result = noted.get(context.signal)
      if (result === undefined) return response
      return { ...response, body: { kind: 'chunked', asyncIterator: piecesInTurns(result) } }
    },
  }
}

export function isLarge(result: FormattedExecutionResult | ExecutionResult): boolean {
  return (result.data as unknown) instanceof SlicedData
}

/** The answer's text, in the order that the specification recommends: errors first. */
export function* piecesOf(result: FormattedExecutionResult | ExecutionResult): Generator<string, void, void> {
  const { errors, extensions } = result
  const data: unknown = result.data
  yield errors === undefined ? '{"data":' : `{"errors":${JSON.stringify(errors)},"data":`
  if (data instanceof SlicedData) yield* data.pieces
  yield extensions === undefined ? '}' : `,"extensions":${JSON.stringify(extensions)}}`
}

/** A connection that takes everything at once does not keep others waiting. */
async function* piecesInTurns(result: FormattedExecutionResult): AsyncGenerator<string, void, void> {
  for (const piece of piecesOf(result)) {
    yield piece
    await turn()
  }
  yield '\n'
}

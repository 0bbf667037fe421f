/**
 * An answer whose data is already JSON text. It passes through Apollo Server as `data` and is written out once, by
 * `stringifyResult`; whoever looks at it as JSON still gets the same value.
 */
import type { ExecutionResult, FormattedExecutionResult } from 'graphql'

export class AnswerText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toJSON(): unknown {
    return JSON.parse(this.text)
  }
}

export type Answer = Omit<ExecutionResult, 'data'> & { data?: AnswerText | ExecutionResult['data'] }

/** For Apollo Server's `stringifyResult`, and for anything else that writes an answer. */
export function stringifyResult(result: FormattedExecutionResult | ExecutionResult | Answer): string {
  const data: unknown = result.data
  if (!(data instanceof AnswerText)) return `${JSON.stringify(result)}\n`
  const errors = result.errors === undefined ? '' : `"errors":${JSON.stringify(result.errors)},`
  const extensions = result.extensions === undefined ? '' : `,"extensions":${JSON.stringify(result.extensions)}`
  return `{${errors}"data":${data.text}${extensions}}\n`
}

/** The answer with its data as a plain object. */
export function asResult(answer: Answer): ExecutionResult {
  if (!(answer.data instanceof AnswerText)) return { ...answer, data: answer.data } as ExecutionResult
  return { ...answer, data: JSON.parse(answer.data.text) as NonNullable<ExecutionResult['data']> }
}

/**
 * An answer's data on its way through Apollo Server. It is written to text once, however many clients it goes to:
 * queries that share an answer share its text.
 */
import type { ExecutionResult, FormattedExecutionResult } from 'graphql'
import type { JsonObject } from './json.ts'

export class AnswerData {
  readonly value: JsonObject
  #text: string | undefined

  constructor(value: JsonObject) {
    this.value = value
  }

  get text(): string {
    return (this.#text ??= JSON.stringify(this.value))
  }

  toJSON(): JsonObject {
    return this.value
  }
}

export type Answer = Omit<ExecutionResult, 'data'> & { data?: AnswerData | null }

/** For Apollo Server's `stringifyResult`, and for anything else that writes an answer. */
export function stringifyResult(result: FormattedExecutionResult | ExecutionResult | Answer): string {
  const data: unknown = result.data
  if (!(data instanceof AnswerData)) return `${JSON.stringify(result)}\n`
  const errors = result.errors === undefined ? '' : `"errors":${JSON.stringify(result.errors)},`
  const extensions = result.extensions === undefined ? '' : `,"extensions":${JSON.stringify(result.extensions)}`
  return `{${errors}"data":${data.text}${extensions}}\n`
}

/** The answer with its data as a plain object; it may be shared and is to be read only. */
export function asResult({ data, ...answer }: Answer): ExecutionResult {
  return data === undefined ? answer : { ...answer, data: data?.value ?? null }
}

/**
 * An answer's data on its way through Apollo Server. It is written to text once, however many clients it goes to:
 * queries that share an answer share its text.
 */
import { parseJsonText } from '../../core/json/parse-names.ts'
import type { ExecutionResult, FormattedExecutionResult } from 'graphql'
import type { JsonObject } from './json.ts'

export class AnswerData {
  readonly #value: JsonObject
  #body: string | undefined

  constructor(value: JsonObject) {
    this.#value = value
  }

  get value(): JsonObject {
    return this.#value
  }

  /** The whole answer's text when there is nothing but data. */
  get body(): string {
    return (this.#body ??= JSON.stringify({ data: this.value }))
  }

  /** The data's own text. */
  get text(): string {
    return this.body.slice('{"data":'.length, -1)
  }

  toJSON(): JsonObject {
    return this.value
  }
}

/** Data of an answer that was written in slices (`slices.ts`): it is there as text, and goes out piece by piece. */
export class SlicedData extends AnswerData {
  readonly pieces: readonly string[]

  constructor(pieces: readonly string[]) {
    super({})
    this.pieces = pieces
  }

  get length(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0)
  }

  override get text(): string {
    return this.pieces.join('')
  }

  override get body(): string {
    return `{"data":${this.text}}`
  }

  /** Parsed anew, in one go: for those who have to look at it. */
  override get value(): JsonObject {
    return parseJsonText(this.text) as JsonObject
  }

  override toJSON(): JsonObject {
    return this.value
  }
}

export type Answer = Omit<ExecutionResult, 'data'> & { data?: AnswerData | null }

/** For Apollo Server's `stringifyResult`, and for anything else that writes an answer. */
export function stringifyResult(result: FormattedExecutionResult | ExecutionResult | Answer): string {
  const data: unknown = result.data
  const alone = result.errors === undefined && result.extensions === undefined
  return alone && data instanceof AnswerData ? data.body : JSON.stringify(result)
}

/** The answer with its data as a plain object; it may be shared and is to be read only. */
export function asResult({ data, ...answer }: Answer): ExecutionResult {
  return data === undefined ? answer : { ...answer, data: data?.value ?? null }
}

import { parseJsonText } from '../core/json/parse-names.ts'
import type { ExecutionResult, FormattedExecutionResult } from 'graphql'
import { AnswerData, stringifyResult } from './executor/answer.ts'
import { isLarge, piecesOf } from './large-answers.ts'

/** Data that is kept as text and is given out as it is; whoever looks at it as JSON gets the same value. */
export class KeptText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toJSON(): unknown {
    return parseJsonText(this.text)
  }
}

/** An answer as JSON text without a line break, whatever its data is made of. */
export function answerText(result: FormattedExecutionResult | ExecutionResult): string {
  if (isLarge(result)) return [...piecesOf(result)].join('')
  const data: unknown = result.data
  if (!(data instanceof KeptText)) return stringifyResult(result).trimEnd()
  const extensions = result.extensions === undefined ? '' : `,"extensions":${JSON.stringify(result.extensions)}`
  return `{"data":${data.text}${extensions}}`
}

/** Data to be kept, as text and as the value that it is. */
export function textAndValue(data: unknown): { text: string; value: unknown } {
  return data instanceof AnswerData ? data : { text: JSON.stringify(data), value: data }
}

import { type DocumentNode, type GraphQLError, parse, visit } from 'graphql'
import { isAppError } from '../core/errors.ts'
import { jsonRefusal } from '../core/json/refusals.ts'
import { checkJsonLiteral } from '../schema/json-literal.ts'
import { checkTokens } from './document-limits.ts'
import type { GatewayLimits } from './limits.ts'

/** In a body, a variable's value has the body and its `variables` around it. */
const depthAround = 2

/**
 * Literals answer as the same value in a variable does, which was scanned with the body. Paths begin at the argument
 * (`$.input.records[0].data`); a variable's default has the path that the variable's value would have.
 * @throws AppError JSON_*
 */
export function checkLiterals(document: DocumentNode, limits: Pick<GatewayLimits, 'jsonDepth'>): void {
  const maxDepth = limits.jsonDepth - depthAround
  visit(document, {
    Argument: ({ name, value }) => checkJsonLiteral(value, [name.value], maxDepth),
    VariableDefinition({ variable, defaultValue }) {
      if (defaultValue !== undefined) checkJsonLiteral(defaultValue, ['variables', variable.name.value], maxDepth)
    },
  })
}

/** An escape behind a backslash that is none itself; of surrogates the pair, or one alone. */
const surrogates =
  /\\\\|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|\\u(?:[dD][89a-fA-F][\da-fA-F]{2}|\{0*[dD][89a-fA-F][\da-fA-F]{2}\})/g
const pairLength = 12

/**
 * Half of a surrogate pair written as an escape is a syntax error to GraphQL. To say of it what is said of one in a
 * variable, the document is read once more with U+0000 in its place, and the place told where that is found.
 */
export function loneSurrogateIn(text: string, error: GraphQLError, limits: GatewayLimits): Error | undefined {
  if (!error.message.includes('Invalid Unicode escape sequence')) return undefined
  const marked = text.replaceAll(surrogates, (found) =>
    found === '\\\\' || found.length === pairLength ? found : '\\u0000'.padEnd(found.length),
  )
  if (marked === text) return undefined
  try {
    checkTokens(marked, limits)
    checkLiterals(parse(marked), limits)
  } catch (found) {
    if (!isAppError(found, 'JSON_NUL_CHARACTER')) return undefined
    const { path, line, column } = found.details as { path: string; line: number; column: number }
    return jsonRefusal('JSON_LONE_SURROGATE', path, { line, column })
  }
  return undefined
}

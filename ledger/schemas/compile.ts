import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { AppError } from '../../core/errors.ts'
import { parseJsonText } from '../../core/json/parse-names.ts'
import { formatPath } from '../../core/json/path.ts'

const maxSchemaBytes = 64 * 1024
const maxPatternLength = 200
/** A repetition inside a repetition, or a reference back: such patterns can take exponential time. */
const dangerousPattern = /\([^()]*[+*}][^()]*\)\s*[+*{]|\\[1-9]/

const options = {
  strict: false,
  allErrors: false,
  validateFormats: false,
  logger: false,
  // Doubles: 0.07 is a multiple of 0.01, though dividing them leaves 8.9e-16.
  multipleOfPrecision: 9,
} as const

/** Compiled; draft 2020-12 unless `$schema` says draft-07. Nothing is fetched. @throws AppError BAD_USER_INPUT */
export function compileSchema(text: string): ValidateFunction {
  if (Buffer.byteLength(text) > maxSchemaBytes) {
    throw new AppError('PAYLOAD_TOO_LARGE', `A schema has at most ${maxSchemaBytes} bytes.`)
  }
  // `$async` is Ajv's own word: such a check answers with a promise, which lets everything pass and rejects unheard. JSON
  // Schema does not know it, and what it does not know has no effect.
  const { $async: _, ...schema } = parseJsonText(text) as Record<string, unknown>
  refuseSlowPatterns(schema)
  const draft7 = typeof schema['$schema'] === 'string' && schema['$schema'].includes('draft-07')
  try {
    // Under the id of a metaschema, which Ajv has already, it cannot be added as one that references may name.
    const addUsedSchema = !String(schema['$id']).includes('://json-schema.org/')
    const ajv = draft7 ? new Ajv({ ...options, addUsedSchema }) : new Ajv2020({ ...options, addUsedSchema })
    return ajv.compile(schema)
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 300) : 'unknown'
    throw new AppError('BAD_USER_INPUT', `This is not a JSON Schema that can be used: ${why}`, { cause: error })
  }
}

/** @throws AppError SCHEMA_VIOLATION whose `details.path` begins at `$` of the payload */
export function validate(check: ValidateFunction, value: unknown, kind: string, version: number): void {
  if (fits(check, value, kind, version)) return
  const [error] = check.errors ?? []
  const path = formatPath(stepsOf(value, error))
  throw new AppError(
    'SCHEMA_VIOLATION',
    `The data does not fit the schema of "${kind}" at ${path}: ${error?.message}.`,
    {
      details: { path, kind, schemaVersion: version, keyword: error?.keyword },
    },
  )
}

function fits(check: ValidateFunction, value: unknown, kind: string, version: number): boolean {
  try {
    return check(value)
  } catch (error) {
    // The value is at most 64 deep: what goes on for ever is a reference of the schema to itself.
    if (!(error instanceof RangeError)) throw error
    throw new AppError('SCHEMA_VIOLATION', `The schema of "${kind}" refers to itself without end.`, {
      cause: error,
      details: { path: '$', kind, schemaVersion: version },
    })
  }
}

/** A JSON Pointer as path steps: an index where the value is an array. */
function stepsOf(value: unknown, error: ErrorObject | undefined): (string | number)[] {
  const names = (error?.instancePath ?? '')
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  const property: unknown = error?.params['missingProperty'] ?? error?.params['additionalProperty']
  if (typeof property === 'string') names.push(property)
  let at = value
  return names.map((name) => {
    const step = Array.isArray(at) ? Number(name) : name
    at = (at as Record<string | number, unknown> | undefined)?.[step]
    return step
  })
}

function refuseSlowPatterns(schema: unknown): void {
  if (typeof schema !== 'object' || schema === null) return
  for (const [key, value] of Object.entries(schema)) {
    const patterns =
      key === 'pattern' ? [value] : key === 'patternProperties' && value !== null ? Object.keys(value as object) : []
    for (const pattern of patterns) {
      if (typeof pattern === 'string' && (pattern.length > maxPatternLength || dangerousPattern.test(pattern))) {
        throw new AppError('BAD_USER_INPUT', 'A pattern of the schema is too long or could take too long to match.', {
          details: { pattern: pattern.slice(0, maxPatternLength) },
        })
      }
    }
    refuseSlowPatterns(value)
  }
}

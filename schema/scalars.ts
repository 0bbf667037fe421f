import { GraphQLScalarType, Kind, type ObjectFieldNode, type ValueNode } from 'graphql'
import { AppError } from '../core/errors.ts'
import { parseTime } from '../core/time.ts'
import { checkNumberLiteral } from '../core/json/number.ts'

const maxPositionLength = 4096
const maxDepth = 64

/** What callers write in any offset is answered in UTC with milliseconds. @throws AppError BAD_USER_INPUT */
function parseDateTime(value: unknown): string {
  return parseTime(typeof value === 'string' ? value : '', 'DateTime')
}

export const dateTimeScalar = new GraphQLScalarType({
  name: 'DateTime',
  serialize: (value) => value,
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(node.kind === Kind.STRING ? node.value : undefined),
})

/** @throws AppError INVALID_POSITION */
function parsePosition(value: unknown): string {
  if (typeof value === 'string' && value.length <= maxPositionLength) return value
  throw new AppError('INVALID_POSITION', 'A Position is the text that a write answered with.')
}

export const positionScalar = new GraphQLScalarType({
  name: 'Position',
  serialize: (value) => value,
  parseValue: parsePosition,
  parseLiteral: (node) => parsePosition(node.kind === Kind.STRING ? node.value : undefined),
})

/** @throws AppError BAD_USER_INPUT */
function parseStreamVersion(value: unknown): number | 'none' | 'any' {
  if (value === 'none' || value === 'any') return value
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new AppError('BAD_USER_INPUT', 'A StreamVersion is a whole number from 0, "none" or "any".')
}

export const streamVersionScalar = new GraphQLScalarType({
  name: 'StreamVersion',
  serialize: (value) => value,
  parseValue: parseStreamVersion,
  parseLiteral: (node) =>
    parseStreamVersion(
      node.kind === Kind.INT
        ? Number(node.value)
        : node.kind === Kind.STRING || node.kind === Kind.ENUM
          ? node.value
          : undefined,
    ),
})

/**
 * JSON as it is. Values of variables were scanned as text where they came in; literals in the query are checked here by
 * the same rules, since they never were JSON text.
 */
export const jsonScalar = new GraphQLScalarType({
  name: 'JSON',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables) => literalValue(node, variables ?? {}, 0),
})

/** @throws AppError JSON_* | BAD_USER_INPUT */
function literalValue(node: ValueNode, variables: Readonly<Record<string, unknown>>, depth: number): unknown {
  const container = node.kind === Kind.LIST || node.kind === Kind.OBJECT
  if (container && depth >= maxDepth) throw new AppError('JSON_TOO_DEEP', `JSON is nested more than ${maxDepth} deep.`)
  switch (node.kind) {
    case Kind.NULL:
      return null
    case Kind.BOOLEAN:
      return node.value
    case Kind.STRING:
      return text(node.value)
    case Kind.INT:
    case Kind.FLOAT:
      checkNumberLiteral(node.value)
      return Number(node.value)
    case Kind.ENUM:
      throw new AppError('BAD_USER_INPUT', 'JSON has no enum values; write a string.')
    case Kind.VARIABLE:
      return variables[node.name.value] ?? null
    case Kind.LIST:
      return node.values.map((item) => literalValue(item, variables, depth + 1))
    case Kind.OBJECT:
      return literalObject(node.fields, (value) => literalValue(value, variables, depth + 1))
    default:
      throw new AppError('BAD_USER_INPUT', 'This is not a JSON value.')
  }
}

function literalObject(fields: readonly ObjectFieldNode[], valueOf: (node: ValueNode) => unknown): object {
  const object: Record<string, unknown> = {}
  for (const { name, value } of fields) {
    if (Object.hasOwn(object, name.value)) {
      throw new AppError('JSON_DUPLICATE_KEY', `JSON repeats the key "${name.value}".`)
    }
    // Not by assignment: `__proto__` is a key like any other here.
    Object.defineProperty(object, name.value, {
      value: valueOf(value),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return object
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new AppError('JSON_LONE_SURROGATE', 'JSON text holds half of a surrogate pair.')
  if (value.includes('\0')) throw new AppError('JSON_NUL_CHARACTER', 'JSON text holds the character U+0000.')
  return value
}

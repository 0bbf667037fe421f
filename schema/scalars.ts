import { GraphQLScalarType, Kind, type ValueNode } from 'graphql'
import { AppError } from '../core/errors.ts'
import { parseTime } from '../core/time.ts'
import { checkJsonLiteral } from './json-literal.ts'

const maxPositionLength = 4096

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
 * the same rules, since they never were JSON text. How deep either may be is for what takes it to say, with its place.
 */
export const jsonScalar = new GraphQLScalarType({
  name: 'JSON',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral(node, variables) {
    checkJsonLiteral(node, [], Infinity)
    return literalValue(node, variables ?? {})
  },
})

/** @throws AppError BAD_USER_INPUT */
function literalValue(node: ValueNode, variables: Readonly<Record<string, unknown>>): unknown {
  switch (node.kind) {
    case Kind.NULL:
      return null
    case Kind.BOOLEAN:
    case Kind.STRING:
      return node.value
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value)
    case Kind.ENUM:
      throw new AppError('BAD_USER_INPUT', 'JSON has no enum values; write a string.')
    case Kind.VARIABLE:
      return variables[node.name.value] ?? null
    case Kind.LIST:
      return node.values.map((item) => literalValue(item, variables))
    case Kind.OBJECT:
      // Not by assignment: `__proto__` is a key like any other here.
      return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, literalValue(value, variables)]))
    default:
      throw new AppError('BAD_USER_INPUT', 'This is not a JSON value.')
  }
}

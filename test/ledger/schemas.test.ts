import { expect, test } from 'vitest'
import { compileSchema, validate } from '../../ledger/schemas/compile.ts'

/** The code it is refused with, and where; `ok` where it fits. */
function outcome(schema: object, value: unknown): string {
  try {
    validate(compileSchema(JSON.stringify(schema)), value, 'kind', 1)
    return 'ok'
  } catch (error) {
    const { code, details } = error as { code: string; details: Record<string, unknown> }
    return `${code} ${String(details['path'])}`
  }
}

test('a schema that says $async checks as every other, and leaves no promise that ends the process', () => {
  for (const word of [true, 1, 'yes']) {
    expect(outcome({ $async: word, required: ['total'] }, {})).toBe('SCHEMA_VIOLATION $.total')
    expect(outcome({ $async: word, required: ['total'] }, { total: 1 })).toBe('ok')
  }
  expect(() => compileSchema('{"properties":{"a":{"$async":true,"type":"string"}}}')).toThrow(
    'async schema in sync schema',
  )
})

test('a schema may refer to itself, by # or by its $id', () => {
  const parent = { child: { $ref: '#' }, count: { type: 'integer' } }
  for (const schema of [
    { properties: parent },
    { $schema: 'http://json-schema.org/draft-07/schema#', properties: parent },
    { $id: 'https://example.com/tree', properties: { ...parent, child: { $ref: 'https://example.com/tree' } } },
  ]) {
    expect(outcome(schema, { child: { child: { count: 1 } } })).toBe('ok')
    expect(outcome(schema, { child: { child: { count: 'one' } } })).toBe('SCHEMA_VIOLATION $.child.child.count')
  }
})

test('a schema that refers to itself without end refuses, and is not a bug of the server', () => {
  expect(outcome({ $ref: '#' }, {})).toBe('SCHEMA_VIOLATION $')
  expect(outcome({ $defs: { a: { allOf: [{ $ref: '#/$defs/a' }] } }, $ref: '#/$defs/a' }, {})).toBe(
    'SCHEMA_VIOLATION $',
  )
})

test('a schema under the id of its metaschema is used, and does not stand in the way of its company', () => {
  const schema = { $id: 'https://json-schema.org/draft/2020-12/schema', required: ['total'] }
  expect(outcome(schema, {})).toBe('SCHEMA_VIOLATION $.total')
})

test('decimals are multiples of decimals, whatever dividing doubles leaves', () => {
  const schema = { properties: { price: { multipleOf: 0.01 } } }
  for (const price of [0.07, 1.15, 4_999.99, 100]) expect(outcome(schema, { price })).toBe('ok')
  for (const price of [0.075, 1.151]) expect(outcome(schema, { price })).toBe('SCHEMA_VIOLATION $.price')
})

import { expect, test } from 'vitest'
import { schemaChanges } from '../../schema/breaking-changes.ts'
import { composeText } from '../gateway/executor/network.ts'

const supergraph = (sdl: string): string => composeText({ one: { sdl } })
const before = supergraph(
  'type Query { a(x: Int): String b: String } enum Mood { GOOD } type T { m: Mood } extend type Query { t: T }',
)

test('a field or argument that is gone breaks clients', () => {
  const after = supergraph('type Query { a: String n: Int t: T } enum Mood { GOOD } type T { m: Mood }')
  expect(schemaChanges(before, after).breaking).toEqual(['Query.b was removed.', 'Query.a arg x was removed.'])
})

test('a field that becomes inaccessible is gone for clients', () => {
  const after = supergraph(
    'type Query { a(x: Int): String b: String @inaccessible t: T } enum Mood { GOOD } type T { m: Mood }',
  )
  expect(schemaChanges(before, after).breaking).toEqual(['Query.b was removed.'])
})

test('a new enum value is dangerous, a new field is neither', () => {
  const after = supergraph(
    'type Query { a(x: Int): String b: String c: String t: T } enum Mood { GOOD BAD } type T { m: Mood }',
  )
  expect(schemaChanges(before, after)).toEqual({ breaking: [], dangerous: ['BAD was added to enum type Mood.'] })
})

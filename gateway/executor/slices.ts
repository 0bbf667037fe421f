/**
 * A large answer as text, a slice at a time, so that whoever writes it can let others go first in between. What can be
 * projected in one go is; what is too large is taken apart: objects into their fields, lists into runs of items. A single
 * leaf (a long string, a custom scalar) is never cut.
 */
import {
  isListType,
  isNonNullType,
  isObjectType,
  isCompositeType,
  type GraphQLCompositeType,
  type GraphQLOutputType,
  type SelectionSetNode,
} from 'graphql'
import type { KnownType } from './collect-fields.ts'
import { own, type JsonObject } from './json.ts'

/** Throws for a value that is not as the schema says, and `tooLarge` for one with too many items. */
export type Project = (value: unknown) => unknown

class TooLarge extends Error {}

export const tooLarge = new TooLarge('more list items than are answered in one go')

export type Write = (value: unknown) => Generator<string, void, void>

export interface WrittenField {
  /** In the data, and in the answer. */
  readonly name: string
  readonly clientName: string
  /** An object of this field alone. */
  readonly project: Project
  /** Absent for `__typename` and introspection, which are never too large. */
  readonly type: GraphQLOutputType | undefined
  readonly sets: readonly SelectionSetNode[]
}

/** Of the projection whose data is written. */
export interface Parts {
  /** Throws `tooLarge` where the value has more items than one go may have. */
  inOneGo(project: Project, value: unknown): unknown
  list(itemType: GraphQLOutputType, sets: readonly SelectionSetNode[]): Project
  fields(type: KnownType, sets: readonly SelectionSetNode[]): readonly WrittenField[]
  runtimeType(declared: GraphQLCompositeType, typename: unknown): KnownType
}

/** Text of a slice that is neither too small to be worth it nor long to make. */
const sliceCharacters = 64 * 1024
const firstItems = 16
const mostItems = 1_024

export function createWriter(parts: Parts): (type: GraphQLOutputType, sets: readonly SelectionSetNode[]) => Write {
  const { inOneGo } = parts

  function writer(type: GraphQLOutputType, sets: readonly SelectionSetNode[]): Write {
    if (isNonNullType(type)) return writer(type.ofType, sets)
    if (isListType(type)) return listWriter(type.ofType, sets)
    if (isCompositeType(type)) return objectWriter(type, sets)
    throw new Error('A leaf is written in one piece.')
  }

  function objectWriter(declared: GraphQLCompositeType, sets: readonly SelectionSetNode[]): Write {
    const byType = new Map<KnownType, readonly (WrittenField & { writeLarge: () => Write })[]>()
    return function* (value) {
      const type = isObjectType(declared) ? declared : parts.runtimeType(declared, (value as JsonObject)['__typename'])
      const fields =
        byType.get(type) ??
        parts.fields(type, sets).map((field) => ({ ...field, writeLarge: lazily(field.type, field.sets) }))
      byType.set(type, fields)
      let separator = '{'
      for (const { name, clientName, project, writeLarge } of fields) {
        const text = tried(() => JSON.stringify(inOneGo(project, value)))
        if (text === undefined) {
          yield `${separator}"${clientName}":`
          yield* writeLarge()(own(value as JsonObject, name))
        } else {
          yield separator + text.slice(1, -1)
        }
        separator = ','
      }
      yield separator === '{' ? '{}' : '}'
    }
  }

  function listWriter(itemType: GraphQLOutputType, sets: readonly SelectionSetNode[]): Write {
    const projectItems = parts.list(itemType, sets)
    const writeLarge = lazily(itemType, sets)
    return function* (value) {
      const items = value as readonly unknown[]
      let count = firstItems
      let separator = '['
      for (let start = 0; start < items.length;) {
        const run = items.slice(start, start + count)
        const text = tried(() => JSON.stringify(inOneGo(projectItems, run)))
        if (text !== undefined) {
          yield separator + text.slice(1, -1)
          if (text.length > 2 * sliceCharacters) count = Math.max(1, count >> 1)
          else if (text.length < sliceCharacters / 2) count = Math.min(mostItems, count * 2)
        } else if (run.length > 1) {
          count = run.length >> 1
          continue
        } else {
          yield separator
          yield* writeLarge()(run[0])
        }
        separator = ','
        start += run.length
      }
      yield separator === '[' ? '[]' : ']'
    }
  }

  function lazily(type: GraphQLOutputType | undefined, sets: readonly SelectionSetNode[]): () => Write {
    let write: Write | undefined
    return () => {
      if (type === undefined) throw new Error('Introspection is written in one piece.')
      return (write ??= writer(type, sets))
    }
  }

  return writer
}

/** `undefined` for what is too large. */
function tried(make: () => string): string | undefined {
  try {
    return make()
  } catch (error) {
    if (error === tooLarge) return undefined
    throw error
  }
}

import {
  type DocumentNode,
  type FieldNode,
  getNamedType,
  type GraphQLSchema,
  isAbstractType,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql'
import { maxTags } from '../cache/answer-cache.ts'
import type { CacheHints } from './cache-hints.ts'

/**
 * Which entities and collections an answer holds, read from its data: `Company:42` where the key was selected; `Company:*`
 * for lists at the root, and for null where there might have been one; `any` where an entity's key was not selected, so
 * that nothing narrower is known.
 */
export type TagReader = (data: unknown) => string[]

/** Of whatever was changed: every change invalidates it. */
export const anyTag = 'any'

/** All companies, and every list of them: a new or renamed company may belong into it. */
export const companies = 'Company:*'

const companyType = 'Company'
export const companyTag = (companyId: string): string => `${companyType}:${companyId}`
/** Everything of a type. The change feed only tells of companies; of other types only mutations do. */
const collectionTag = (type: string): string => `${type}:*`

/** A list or a null at the root: what may come to belong there is told of by the feed for companies, else by any change. */
const rootTags = (type: string): string[] => (type === companyType ? [companies] : [collectionTag(type), anyTag])

interface Place {
  /** Response name -> what is below it. */
  readonly fields: Map<string, Place>
  /** Entity types that the value may be, with the response name of each one's key. */
  readonly entities: { readonly type: string; readonly keyName: string | undefined }[]
  /** The value is one entity and no list: where it is present, its key says all. */
  single: boolean
}

/** What a mutation may have changed without a trace in any ledger: all that is of the types it answers with. */
export function mutationTags(
  schema: GraphQLSchema,
  hints: CacheHints,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): string[] {
  const types = new Set(
    [...placesOf(schema, hints, document, operation).fields.values()].flatMap((field) => [...reachable(field)]),
  )
  return [...types].map(collectionTag)
}

export function tagReader(
  schema: GraphQLSchema,
  hints: CacheHints,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): TagReader {
  const root = placesOf(schema, hints, document, operation)
  const collections = new Map([...root.fields].map(([name, field]) => [name, [...reachable(field)].flatMap(rootTags)]))
  return (data) => {
    const tags = new Set<string>()
    for (const [name, field] of root.fields) {
      const value = valueOf(data, name)
      if (value === null || !field.single) collections.get(name)?.forEach((tag) => tags.add(tag))
      collect(field, value, tags)
    }
    return tags.size > maxTags ? [anyTag] : [...tags]
  }
}

/** The fields of an operation that hold objects, as a tree. */
function placesOf(
  schema: GraphQLSchema,
  { keyFields }: CacheHints,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): Place {
  const fragments = new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  )
  const root = place()
  const rootType = schema.getRootType(operation.operation)
  if (rootType != null) addSelections(root, rootType.name, operation.selectionSet)
  return root

  function addSelections(at: Place, parent: string, set: SelectionSetNode): void {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        addField(at, parent, selection)
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        addSelections(at, selection.typeCondition?.name.value ?? parent, selection.selectionSet)
      } else {
        const fragment = fragments.get(selection.name.value)
        if (fragment !== undefined) addSelections(at, fragment.typeCondition.name.value, fragment.selectionSet)
      }
    }
  }

  function addField(at: Place, parent: string, node: FieldNode): void {
    const parentType = schema.getType(parent)
    if (!isObjectType(parentType) && !isInterfaceType(parentType)) return
    const type = parentType.getFields()[node.name.value]?.type
    const named = type === undefined ? undefined : getNamedType(type)
    if (node.selectionSet === undefined || !isCompositeType(named)) return
    const name = node.alias?.value ?? node.name.value
    const below = at.fields.get(name) ?? place()
    at.fields.set(name, below)
    const possible = isAbstractType(named) ? schema.getPossibleTypes(named) : [named]
    for (const { name: typeName } of possible) {
      const keyField = keyFields.get(typeName)
      if (keyField === undefined) continue
      const known = below.entities.find((entity) => entity.type === typeName)
      const keyName = possible.length === 1 ? responseNameOf(node.selectionSet, keyField) : undefined
      if (known === undefined) below.entities.push({ type: typeName, keyName })
      below.single = !String(type).includes('[')
    }
    addSelections(below, named.name, node.selectionSet)
  }

  function responseNameOf(set: SelectionSetNode, field: string): string | undefined {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        if (selection.name.value === field) return selection.alias?.value ?? field
      } else {
        const inner =
          selection.kind === Kind.INLINE_FRAGMENT
            ? selection.selectionSet
            : fragments.get(selection.name.value)?.selectionSet
        const found = inner === undefined ? undefined : responseNameOf(inner, field)
        if (found !== undefined) return found
      }
    }
    return undefined
  }
}

function place(): Place {
  return { fields: new Map(), entities: [], single: false }
}

/** The entity types that come first on the ways down from here. */
function reachable(from: Place): Set<string> {
  if (from.entities.length > 0) return new Set(from.entities.map(({ type }) => type))
  const types = new Set<string>()
  for (const field of from.fields.values()) for (const type of reachable(field)) types.add(type)
  return types
}

function collect(at: Place, value: unknown, tags: Set<string>): void {
  if (value === null || value === undefined) return
  if (Array.isArray(value)) {
    for (const item of value) collect(at, item, tags)
    return
  }
  for (const { type, keyName } of at.entities) {
    const key = keyName === undefined ? undefined : valueOf(value, keyName)
    tags.add(typeof key === 'string' || typeof key === 'number' ? ownerTag(type, String(key)) : anyTag)
  }
  for (const [name, field] of at.fields) collect(field, valueOf(value, name), tags)
}

/**
 * What belongs to a company carries the company's id in its own and changes with the company's ledger. What belongs to none
 * (sectors) is shared and changes seldom: all of it at once.
 */
function ownerTag(type: string, key: string): string {
  const colon = key.lastIndexOf(':')
  if (type === companyType) return companyTag(key)
  return colon > 0 ? companyTag(key.slice(0, colon)) : collectionTag(type)
}

function valueOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}

/**
 * Representations: what a subgraph must be told of an entity to resolve it (`requires` of a fetch). The JSON text of
 * one is at once the key under which equal entities are asked for only once and the piece of the request's body, so
 * the common case (one fragment applies, its fields present) writes text straight from the entity. Everything else
 * (several fragments, nested fragments, rewrites) builds the object as the specification of query plans says.
 */
import type { FetchDataRewrite, QueryPlanSelectionNode } from '@apollo/query-planner'
import type { GraphQLSchema } from 'graphql'
import type { RequiredField } from '../planner/required-arguments.ts'
import { isInheritedName, isObject, leafText, own, setOwn, type JsonObject } from './json.ts'
import { mergeInto } from './merge.ts'
import { applyRewrites, isOfType } from './rewrites.ts'

export interface Representations {
  /** JSON text, or `undefined` when the entity lacks something that is required (it is then left out). */
  text(entity: JsonObject): string | undefined
  /** The same as an object, for subgraphs in this process. */
  object(entity: JsonObject): JsonObject | undefined
  /** The key's value, for an entity whose representation is its type and one key that is a string. */
  singleKey(entity: JsonObject): string | undefined
}

interface TextField {
  readonly name: string
  /** Its key in the data. */
  readonly from: string
  /** `"name":` with the comma before it. */
  readonly prefix: string
  readonly fields: readonly TextField[] | undefined
}

export function compileRepresentations(
  schema: GraphQLSchema,
  requires: readonly QueryPlanSelectionNode[],
  inputRewrites: readonly FetchDataRewrite[] = [],
): Representations {
  /** Type name -> the fields of the one fragment that applies; `undefined` when text cannot be written directly. */
  const fieldsByType = new Map<string, readonly TextField[] | undefined>()

  let lastType: unknown
  let lastFields: readonly TextField[] | undefined

  function fieldsFor(entity: JsonObject): readonly TextField[] | undefined {
    const typename = entity.__typename
    if (typename === lastType) return lastFields
    if (typeof typename !== 'string' || inputRewrites.length > 0) return undefined
    const known = fieldsByType.has(typename)
    lastFields = known ? fieldsByType.get(typename) : directFields(schema, requires, typename)
    lastType = typename
    if (!known) fieldsByType.set(typename, lastFields)
    return lastFields
  }

  function object(entity: JsonObject): JsonObject | undefined {
    const representation = select(schema, entity, requires)
    if (representation === null || !representation.__typename) return undefined
    applyRewrites(schema, inputRewrites, representation)
    return representation
  }

  return {
    object,
    text(entity) {
      const fields = fieldsFor(entity)
      if (fields !== undefined) return objectText(entity, fields)
      const representation = object(entity)
      return representation && JSON.stringify(representation)
    },
    singleKey(entity) {
      const fields = fieldsFor(entity)
      if (fields?.length !== 2) return undefined
      const [first, second] = fields
      const key = first?.name === '__typename' ? second : first
      const value = key === undefined || key.fields !== undefined ? undefined : entity[key.from]
      return typeof value === 'string' ? value : undefined
    },
  }
}

function directFields(
  schema: GraphQLSchema,
  requires: readonly QueryPlanSelectionNode[],
  typename: string,
): readonly TextField[] | undefined {
  const applying = requires.filter(
    (selection) =>
      selection.kind === 'InlineFragment' &&
      selection.typeCondition !== undefined &&
      isOfType(schema, { __typename: typename }, selection.typeCondition),
  )
  const [only, second] = applying
  if (only?.kind !== 'InlineFragment' || second !== undefined) return undefined
  if (requires.some((selection) => selection.kind === 'Field')) return undefined
  const fields = textFields(only.selections)
  return fields?.some(({ name }) => name === '__typename') ? fields : undefined
}

function textFields(selections: readonly QueryPlanSelectionNode[]): readonly TextField[] | undefined {
  const fields: TextField[] = []
  for (const selection of selections) {
    if (selection.kind !== 'Field') return undefined
    const name = responseName(selection)
    if (isInheritedName(name) || fields.some((field) => field.name === name)) return undefined
    const nested = selection.selections === undefined ? undefined : textFields(selection.selections)
    if (selection.selections !== undefined && nested === undefined) return undefined
    fields.push({
      name,
      from: sourceName(selection),
      prefix: `${fields.length === 0 ? '' : ','}${JSON.stringify(name)}:`,
      fields: nested,
    })
  }
  return fields
}

function objectText(source: JsonObject, fields: readonly TextField[]): string | undefined {
  let text = '{'
  for (const field of fields) {
    const value = source[field.from]
    if (value === undefined) return undefined
    text += field.prefix + valueText(value, field.fields)
  }
  return `${text}}`
}

/** A nested object that lacks a required field is `null` in its representation. */
function valueText(value: unknown, fields: readonly TextField[] | undefined): string {
  if (fields === undefined || value === null) return leafText(value)
  if (Array.isArray(value)) return `[${value.map((item) => valueText(item, fields)).join(',')}]`
  return (isObject(value) ? objectText(value, fields) : undefined) ?? 'null'
}

/** The selection applied to the entity; `null` when it (or one of its fields) is missing. */
function select(
  schema: GraphQLSchema,
  source: unknown,
  selections: readonly QueryPlanSelectionNode[],
): JsonObject | null {
  if (!isObject(source)) return null
  const result: JsonObject = {}
  for (const selection of selections) {
    if (selection.kind === 'Field') {
      const name = responseName(selection)
      const value = own(source, sourceName(selection))
      if (value === undefined) return null
      const nested = selection.selections
      setOwn(result, name, nested === undefined ? value : selectEach(schema, value, nested))
    } else if (selection.typeCondition !== undefined && isOfType(schema, source, selection.typeCondition)) {
      const part = select(schema, source, selection.selections)
      if (part !== null) mergeInto(result, part)
    }
  }
  return result
}

function selectEach(schema: GraphQLSchema, value: unknown, selections: readonly QueryPlanSelectionNode[]): unknown {
  return Array.isArray(value)
    ? value.map((item) => selectEach(schema, item, selections))
    : select(schema, value, selections)
}

const responseName = (field: RequiredField): string => field.alias ?? field.name
const sourceName = (field: RequiredField): string => field.from ?? responseName(field)

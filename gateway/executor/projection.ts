/**
 * From the merged data to the answer: the client's fields, in the client's order. The selections are collected once per
 * runtime type, and for each a function is generated that checks the leaves and
 * builds the object in one literal: V8 then knows its shape, which makes building it and `JSON.stringify` several times
 * faster than setting fields one by one. Only names that the GraphQL grammar allows come into generated code.
 *
 * Only data that is as the schema says is handled here. At the first anomaly (a null where none may be, a leaf of the
 * wrong kind, an unknown type) `undefined` comes back and the caller takes the exact way, which knows about nulls
 * that bubble up. Data with more list items than can be answered in one go is too large: it is written in slices
 * (`slices.ts`) by the same functions, a piece at a time.
 */
import {
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isSpecifiedScalarType,
  type DocumentNode,
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLEnumType,
  type GraphQLOutputType,
  type GraphQLScalarType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql'
import { createFieldCollector, type CollectedFields, type KnownType } from './collect-fields.ts'
import { isInheritedName, type JsonObject } from './json.ts'
import { Projected } from './projected.ts'
import { createWriter, type Project, tooLarge, type Write, type WrittenField } from './slices.ts'

export interface Projection {
  /** The answer's data; `undefined` at an anomaly. */
  project(data: JsonObject): JsonObject | 'too large' | undefined
  /** The same data as pieces of its JSON text. @throws what `isAnomaly` knows */
  slices(data: JsonObject): Iterable<string>
}

export interface ProjectionInput {
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  readonly operation: OperationDefinitionNode
  /** The values of every variable used by `@skip` and `@include`. */
  readonly conditions: Readonly<Record<string, unknown>>
  /** The answer to one introspection field of the root; `undefined` when it depends on variables. */
  readonly introspect: (field: FieldNode) => unknown
  /** From the name in the data to the name in the answer. */
  readonly clientName: (name: string) => string
  /** List items, of all lists together, that are projected in one go. */
  readonly itemsMax: number
  /** The places (names joined by dots, lists not told from single objects) where one object may stand many times. */
  readonly repeating: ReadonlySet<string>
}

class Anomaly extends Error {}
const anomaly = new Anomaly('the data is not as the schema says')

/** Of what is written in slices: the places of its parts are not followed. */
const nowhere = '.'

function bad(): never {
  throw anomaly
}

export function isAnomaly(error: unknown): boolean {
  return error === anomaly
}

export function compileProjection(input: ProjectionInput): Projection {
  const { schema, operation, itemsMax } = input
  const collectFields = createFieldCollector(schema, input.document, input.conditions, bad)
  const root = schema.getRootType(operation.operation)
  if (root == null) throw new Error(`The schema has no ${operation.operation} type.`)
  const rootSets = [operation.selectionSet]
  let projectRoot: Project | undefined
  let writeRoot: Write | undefined
  /** What is left of `itemsMax` in the piece of work under way. */
  let itemsLeft = 0
  /** In the piece of work under way. */
  const projected = new Map<Project, Projected>()

  return {
    project(data) {
      try {
        projectRoot ??= generate(root, collectFields(root, rootSets), '')
        return inOneGo(projectRoot, data) as JsonObject
      } catch (error) {
        if (error === tooLarge) return 'too large'
        if (isAnomaly(error)) return undefined
        throw error
      }
    },
    slices(data) {
      writeRoot ??= createWriter({
        inOneGo,
        list: (type, sets) => listProjector(type, sets, nowhere),
        fields: writtenFields,
        runtimeType,
      })(root, rootSets)
      return writeRoot(data)
    },
  }

  function inOneGo(project: Project, value: unknown): unknown {
    itemsLeft = itemsMax
    try {
      return project(value)
    } finally {
      projected.clear()
    }
  }

  /** A function that builds the answer's object for data of this very type. */
  function generate(type: KnownType, collected: CollectedFields, place: string): Project {
    const constants: unknown[] = []
    const lines: string[] = []
    for (const [name, nodes] of collected) {
      const [node] = nodes
      const clientName = input.clientName(name)
      if (node === undefined || isInheritedName(name) || isInheritedName(clientName)) throw anomaly
      const bind = (value: unknown): string => `c[${constants.push(value) - 1}]`
      lines.push(`${clientName}: ${fieldCode(type, name, node, nodes, bind, place)}`)
    }
    // oxlint-disable-next-line typescript/no-implied-eval -- see the top of this file
    const build = new Function('c', 'bad', `return (d) => ({ ${lines.join(', ')} })`) as (
      constants: readonly unknown[],
      bad: () => never,
    ) => Project
    return build(constants, bad)
  }

  /** Each field by itself, for an object that is written field by field. */
  function writtenFields(type: KnownType, sets: readonly SelectionSetNode[]): readonly WrittenField[] {
    return Array.from(collectFields(type, sets), ([name, nodes]) => ({
      name,
      clientName: input.clientName(name),
      project: generate(type, new Map([[name, nodes]]), nowhere),
      type: type.getFields()[nodes[0]?.name.value ?? '']?.type,
      sets: nodes.flatMap(({ selectionSet }) => selectionSet ?? []),
    }))
  }

  function fieldCode(
    type: KnownType,
    name: string,
    node: FieldNode,
    nodes: readonly FieldNode[],
    bind: (value: unknown) => string,
    place: string,
  ): string {
    const fieldName = node.name.value
    if (fieldName === '__typename') return JSON.stringify(type.name)
    if (fieldName.startsWith('__')) {
      const value = input.introspect(node)
      return value === undefined ? bad() : bind(value)
    }
    const definition = type.getFields()[fieldName]
    if (definition === undefined) throw new Error(`The type ${type.name} has no field ${fieldName}.`)
    const nullable = isNonNullType(definition.type) ? undefined : 'null'
    const inner = isNonNullType(definition.type) ? definition.type.ofType : definition.type
    const value = `d.${name}`
    const given =
      isListType(inner) || isCompositeType(inner)
        ? `${bind(
            projectorOf(
              inner,
              nodes.flatMap(({ selectionSet }) => selectionSet ?? []),
              place === '' ? name : `${place}.${name}`,
            ),
          )}(${value})`
        : leafCode(inner, value, bind)
    // `== null` is for what is missing as well.
    return `${value} == null ? ${nullable ?? 'bad()'} : ${given}`
  }

  /** For values that are there; what may be null is the field's or the list's to say. */
  function projectorOf(type: GraphQLOutputType, sets: readonly SelectionSetNode[], place: string): Project {
    if (isListType(type)) return listProjector(type.ofType, sets, place)
    if (isNonNullType(type)) return projectorOf(type.ofType, sets, place)
    if (!isCompositeType(type)) return leafProjector(type)
    const project = objectProjector(type, sets, place)
    return input.repeating.has(place) ? onceEach(project) : project
  }

  /** Makes one object of what is one object in the data. */
  function onceEach(project: Project): Project {
    return (value) => {
      let before = projected.get(project)
      if (before === undefined) projected.set(project, (before = new Projected()))
      const known = before.get(value)
      if (known !== undefined) {
        itemsLeft -= known.items
        if (itemsLeft < 0) throw tooLarge
        return known.made
      }
      const left = itemsLeft
      const made = project(value)
      before.set(value, made, left - itemsLeft)
      return made
    }
  }

  function listProjector(itemType: GraphQLOutputType, sets: readonly SelectionSetNode[], place: string): Project {
    const project = projectorOf(itemType, sets, place)
    const nullable = !isNonNullType(itemType)
    return (value) => {
      if (!Array.isArray(value)) return bad()
      itemsLeft -= value.length
      if (itemsLeft < 0) throw tooLarge
      const items: unknown[] = []
      for (let index = 0; index < value.length; index++) {
        const item: unknown = value[index]
        if (item === null || item === undefined) items.push(nullable ? null : bad())
        else items.push(project(item))
      }
      return items
    }
  }

  function objectProjector(declared: GraphQLCompositeType, sets: readonly SelectionSetNode[], place: string): Project {
    const byType = new Map<unknown, Project>()
    let lastName: unknown
    let last: Project | undefined
    return (value) => {
      if (typeof value !== 'object' || Array.isArray(value)) return bad()
      const typename = (value as JsonObject).__typename
      if (last === undefined || typename !== lastName) {
        last = byType.get(typename) ?? generateFor(declared, typename, sets, place)
        lastName = typename
        byType.set(typename, last)
      }
      return last(value)
    }
  }

  function generateFor(
    declared: GraphQLCompositeType,
    typename: unknown,
    sets: readonly SelectionSetNode[],
    place: string,
  ): Project {
    const type = runtimeType(declared, typename)
    return generate(type, collectFields(type, sets), place)
  }

  function runtimeType(declared: GraphQLCompositeType, typename: unknown): KnownType {
    const type = typename === undefined ? declared : typeof typename === 'string' ? schema.getType(typename) : undefined
    // An interface stays one where nothing that is selected depends on the object's type; the collector looks after that.
    if (isInterfaceType(type) && type === declared) return type
    if (!isObjectType(type)) return bad()
    const fits = type === declared || (isAbstractType(declared) && schema.isSubType(declared, type))
    return fits ? type : bad()
  }
}

/** The kinds of JSON value that each type of leaf may have; the exact way judges whatever does not fit here. */
function leafCode(type: GraphQLScalarType | GraphQLEnumType, value: string, bind: (value: unknown) => string): string {
  const test = leafTest(type, value, bind)
  return test === undefined ? value : `(${test} ? ${value} : bad())`
}

function leafTest(
  type: GraphQLScalarType | GraphQLEnumType,
  value: string,
  bind: (value: unknown) => string,
): string | undefined {
  if (isEnumType(type)) return `${bind(new Set(type.getValues().map(({ name }) => name)))}.has(${value})`
  if (!isSpecifiedScalarType(type)) return undefined
  switch (type.name) {
    case 'Int':
      return `Number.isSafeInteger(${value})`
    case 'Float':
      return `Number.isFinite(${value})`
    case 'Boolean':
      return `typeof ${value} === 'boolean'`
    case 'ID':
      return `(typeof ${value} === 'string' || Number.isSafeInteger(${value}))`
    default:
      return `typeof ${value} === 'string'`
  }
}

function leafProjector(type: GraphQLScalarType | GraphQLEnumType): Project {
  const constants: unknown[] = []
  const code = leafCode(type, 'd', (value) => `c[${constants.push(value) - 1}]`)
  // oxlint-disable-next-line typescript/no-implied-eval -- see the top of this file
  const build = new Function('c', 'bad', `return (d) => ${code}`) as (
    c: readonly unknown[],
    bad: () => never,
  ) => Project
  return build(constants, bad)
}

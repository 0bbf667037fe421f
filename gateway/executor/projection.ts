/**
 * From the merged data to the answer: the client's fields, in the client's order, as JSON text. The selections are
 * collected once per runtime type (GraphQL specification, CollectFields) and kept; writing an answer is then one walk
 * over the data without building the object that would be thrown away after `JSON.stringify`.
 *
 * Only data that is as the schema says is written here. At the first anomaly (a null where none may be, a leaf of the
 * wrong kind, an unknown type) `undefined` comes back and the caller takes the exact way, which knows about nulls
 * that bubble up.
 */
import {
  getNamedType,
  isCompositeType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
  Kind,
  specifiedScalarTypes,
  type DocumentNode,
  type FragmentDefinitionNode,
  type FieldNode,
  type GraphQLCompositeType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
  isAbstractType,
} from 'graphql'
import { isInheritedName, leafText, type JsonObject } from './json.ts'

/** `shared`: objects that hang in several places of the data; what is written for one place serves the others. */
export type Projection = (data: JsonObject, shared: ReadonlySet<JsonObject>) => string | undefined

type Writer = (value: unknown, run: Run) => string

interface Run {
  readonly shared: ReadonlySet<JsonObject>
  readonly written: Map<JsonObject, Map<Writer, string>>
}

interface OutputField {
  readonly name: string
  readonly prefix: string
  readonly write: Writer | undefined
  /** Text that does not depend on the data: `__typename`, introspection. */
  readonly constant: string | undefined
}

export interface ProjectionInput {
  readonly schema: GraphQLSchema
  readonly document: DocumentNode
  readonly operation: OperationDefinitionNode
  /** The values of every variable used by `@skip` and `@include`. */
  readonly conditions: Readonly<Record<string, unknown>>
  /** JSON of one introspection field of the root; `undefined` when it depends on variables. */
  readonly introspect: (field: FieldNode) => string | undefined
}

class Anomaly extends Error {}
const anomaly = new Anomaly('the data is not as the schema says')

export function compileProjection(input: ProjectionInput): Projection {
  const { schema, operation } = input
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of input.document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  }
  const root = schema.getRootType(operation.operation)
  if (root == null) throw new Error(`The schema has no ${operation.operation} type.`)
  let fields: readonly OutputField[] | undefined

  return (data, shared) => {
    try {
      fields ??= outputFields(root, [operation.selectionSet])
      return writeFields(data, fields, { shared, written: new Map() })
    } catch (error) {
      if (error === anomaly) return undefined
      throw error
    }
  }

  function outputFields(type: GraphQLObjectType, sets: readonly SelectionSetNode[]): readonly OutputField[] {
    const collected = new Map<string, FieldNode[]>()
    for (const set of sets) collectFields(type, set, collected)
    return [...collected].map(([name, nodes], index) => {
      if (isInheritedName(name)) throw anomaly
      const prefix = `${index === 0 ? '' : ','}${JSON.stringify(name)}:`
      const [node] = nodes
      const fieldName = node?.name.value ?? name
      if (node !== undefined && fieldName.startsWith('__')) {
        const constant = fieldName === '__typename' ? JSON.stringify(type.name) : input.introspect(node)
        if (constant === undefined) throw anomaly
        return { name, prefix, write: undefined, constant }
      }
      const definition = type.getFields()[fieldName]
      if (definition === undefined) throw new Error(`The type ${type.name} has no field ${fieldName}.`)
      const nested = nodes.flatMap(({ selectionSet }) => selectionSet ?? [])
      return { name, prefix, write: writerOf(definition.type, nested), constant: undefined }
    })
  }

  function collectFields(type: GraphQLObjectType, set: SelectionSetNode, collected: Map<string, FieldNode[]>): void {
    for (const selection of set.selections) {
      if (isLeftOut(selection.directives ?? [], input.conditions)) continue
      if (selection.kind === Kind.FIELD) {
        const name = selection.alias?.value ?? selection.name.value
        const nodes = collected.get(name)
        if (nodes === undefined) collected.set(name, [selection])
        else nodes.push(selection)
        continue
      }
      const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection
      const condition = fragment?.typeCondition?.name.value
      if (fragment !== undefined && (condition === undefined || applies(condition, type))) {
        collectFields(type, fragment.selectionSet, collected)
      }
    }
  }

  function applies(condition: string, type: GraphQLObjectType): boolean {
    const wanted = schema.getType(condition)
    return wanted === type || (isAbstractType(wanted) && schema.isSubType(wanted, type))
  }

  function writerOf(type: GraphQLOutputType, sets: readonly SelectionSetNode[]): Writer {
    if (isNonNullType(type)) return nonNullWriter(nullableWriterOf(type.ofType, sets))
    const write = nullableWriterOf(type, sets)
    return (value, run) => (value === null || value === undefined ? 'null' : write(value, run))
  }

  function nullableWriterOf(type: GraphQLOutputType, sets: readonly SelectionSetNode[]): Writer {
    if (isListType(type)) return listWriter(writerOf(type.ofType, sets))
    const named = getNamedType(type)
    if (isCompositeType(named)) return objectWriter(named, sets)
    return leafWriter(named)
  }

  function objectWriter(declared: GraphQLCompositeType, sets: readonly SelectionSetNode[]): Writer {
    const fieldsByType = new Map<unknown, readonly OutputField[]>()
    function fieldsOf(typename: unknown): readonly OutputField[] {
      const known = fieldsByType.get(typename)
      if (known !== undefined) return known
      if (typename !== undefined && typeof typename !== 'string') throw anomaly
      const type = typename === undefined ? declared : schema.getType(typename)
      const fits =
        isObjectType(type) && (type === declared || (isAbstractType(declared) && schema.isSubType(declared, type)))
      if (!fits) throw anomaly
      const fields = outputFields(type, sets)
      fieldsByType.set(typename, fields)
      return fields
    }
    const writer: Writer = (value, run) => {
      if (typeof value !== 'object' || Array.isArray(value)) throw anomaly
      const object = value as JsonObject
      if (!run.shared.has(object)) return writeFields(object, fieldsOf(object.__typename), run)
      const texts = run.written.get(object) ?? new Map<Writer, string>()
      const known = texts.get(writer)
      if (known !== undefined) return known
      const text = writeFields(object, fieldsOf(object.__typename), run)
      run.written.set(object, texts.set(writer, text))
      return text
    }
    return writer
  }
}

function writeFields(object: JsonObject, fields: readonly OutputField[], run: Run): string {
  let text = '{'
  for (const field of fields) {
    text += field.prefix + (field.write === undefined ? field.constant : field.write(object[field.name], run))
  }
  return `${text}}`
}

function nonNullWriter(write: Writer): Writer {
  return (value, run) => {
    if (value === null || value === undefined) throw anomaly
    return write(value, run)
  }
}

function listWriter(write: Writer): Writer {
  return (value, run) => {
    if (!Array.isArray(value)) throw anomaly
    let text = '['
    for (let index = 0; index < value.length; index++) {
      text += index === 0 ? write(value[index], run) : `,${write(value[index], run)}`
    }
    return `${text}]`
  }
}

/** The kinds of JSON value that each type of leaf may have; the exact way judges whatever does not fit here. */
function leafWriter(type: ReturnType<typeof getNamedType>): Writer {
  const fits = leafFits(type)
  return (value) => {
    if (!fits(value)) throw anomaly
    return leafText(value)
  }
}

function leafFits(type: ReturnType<typeof getNamedType>): (value: unknown) => boolean {
  if (isEnumType(type)) {
    const names = new Set<unknown>(type.getValues().map(({ name }) => name))
    return (value) => names.has(value)
  }
  if (isScalarType(type) && specifiedScalarTypes.some(({ name }) => name === type.name)) {
    switch (type.name) {
      case 'Int':
        return Number.isSafeInteger
      case 'Float':
        return Number.isFinite
      case 'Boolean':
        return (value) => typeof value === 'boolean'
      case 'ID':
        return (value) => typeof value === 'string' || Number.isSafeInteger(value)
      default:
        return (value) => typeof value === 'string'
    }
  }
  return () => true
}

/** `@skip` and `@include` (specification, section 3.13). A variable without a value is the exact way's to report. */
function isLeftOut(
  directives: NonNullable<FieldNode['directives']>,
  conditions: Readonly<Record<string, unknown>>,
): boolean {
  return directives.some((directive) => {
    const skips = directive.name.value === 'skip'
    if (!skips && directive.name.value !== 'include') return false
    const value = directive.arguments?.find(({ name }) => name.value === 'if')?.value
    const truth =
      value?.kind === Kind.VARIABLE ? conditions[value.name.value] : value?.kind === Kind.BOOLEAN && value.value
    return truth === skips
  })
}

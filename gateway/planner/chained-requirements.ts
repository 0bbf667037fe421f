/**
 * A field that requires, and is required: `b @requires(fields: "a")` in one subgraph, `c @requires(fields: "b")` in
 * another that also has `a`. Coming from the first, Apollo's planner finds `a` among its fields, where it is only
 * declared (`@external`), and asks the first subgraph for it. Here what requires moves, with what it requires, into a
 * subgraph that only the planner knows; what is left declares nothing that it does not have. In the finished plan both
 * go by the one name. It is done where such a chain is, and for fields that are and require single values.
 */
import type { QueryPlan } from '@apollo/query-planner'
import {
  Kind,
  parse,
  visit,
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type ObjectTypeDefinitionNode,
  type SelectionSetNode,
  type TypeNode,
} from 'graphql'
import { argumentOf, booleanArgument, directivesNamed, subgraphNames, textArgument } from './joins.ts'
import { mapFetches } from './map-fetches.ts'

const mark = '__requiring'

export interface ChainedRequirements {
  /** The supergraph for the planner. */
  readonly document: DocumentNode
  /** Turns a plan for it into one for the subgraphs as they are. */
  restore(plan: QueryPlan): QueryPlan
}

/** What of a type lies in the planner's own subgraph of a graph. */
interface Apart {
  readonly graph: string
  /** Fields that require. */
  readonly moved: ReadonlySet<string>
  /** Fields that they require. */
  readonly required: ReadonlySet<string>
  /** Those of them that the graph declares for nothing else. */
  readonly undeclared: ReadonlySet<string>
  readonly keys: readonly string[]
}

export function separateChainedRequirements(supergraph: DocumentNode): ChainedRequirements {
  const types = new Map(
    supergraph.definitions.flatMap((definition) =>
      definition.kind === Kind.OBJECT_TYPE_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  )
  const composite = new Set(
    supergraph.definitions.flatMap((definition) =>
      definition.kind === Kind.OBJECT_TYPE_DEFINITION ||
      definition.kind === Kind.INTERFACE_TYPE_DEFINITION ||
      definition.kind === Kind.UNION_TYPE_DEFINITION
        ? [definition.name.value]
        : [],
    ),
  )
  const chained = fieldsInChains(types)
  const apart = new Map<string, Apart[]>()
  for (const [name, type] of types) {
    const graphs = new Set([...chained].flatMap(([key, graph]) => (key.startsWith(`${name}.`) ? graph : [])))
    const found = [...graphs].flatMap((graph) => apartOf(type, graph, composite) ?? [])
    if (found.length > 0) apart.set(name, found)
  }
  if (apart.size === 0) return { document: supergraph, restore: (plan) => plan }

  const inside = insideOf(types, apart)
  const names = subgraphNames(supergraph)
  const realNames = new Map([...names].map(([graph, name]) => [`${graph}${mark}`, name]))
  const graphs = new Set([...apart.values()].flat().map(({ graph }) => graph))
  const document = visit(supergraph, {
    ObjectTypeDefinition: (type) => withApart(type, apart.get(type.name.value) ?? [], inside, graphs),
    EnumTypeDefinition(type) {
      if (type.name.value !== 'join__Graph') return joinedLeaf(type, graphs)
      const added = (type.values ?? []).flatMap((value) => {
        if (!graphs.has(value.name.value)) return []
        const name = `${value.name.value}${mark}`
        const [join] = directivesNamed(value.directives, 'join__graph')
        return join === undefined
          ? []
          : [
              {
                ...value,
                name: nameNode(name),
                directives: [withArgument(join, 'name', { kind: Kind.STRING, value: name })],
              },
            ]
      })
      return { ...type, values: [...(type.values ?? []), ...added] }
    },
    ScalarTypeDefinition: (type) => joinedLeaf(type, graphs),
    InputObjectTypeDefinition: (type) => joinedLeaf(type, graphs),
    InputValueDefinition: (value) => ({ ...value, directives: withCopies(value.directives, 'join__field', graphs) }),
    EnumValueDefinition(value) {
      return { ...value, directives: withCopies(value.directives, 'join__enumValue', graphs) }
    },
  })
  return {
    document,
    restore: (plan) =>
      mapFetches(plan, (fetch) => [{ ...fetch, serviceName: realNames.get(fetch.serviceName) ?? fetch.serviceName }]),
  }
}

/** `Type.field` -> the graphs in which it requires, of fields that something requires. */
function fieldsInChains(types: ReadonlyMap<string, ObjectTypeDefinitionNode>): ReadonlyMap<string, readonly string[]> {
  const required = new Set<string>()
  const collect = (type: ObjectTypeDefinitionNode | undefined, set: SelectionSetNode): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) continue
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const condition = selection.typeCondition?.name.value
        collect(condition === undefined ? type : types.get(condition), selection.selectionSet)
        continue
      }
      const field = type?.fields?.find(({ name }) => name.value === selection.name.value)
      if (type !== undefined) required.add(`${type.name.value}.${selection.name.value}`)
      if (field !== undefined && selection.selectionSet !== undefined) {
        collect(types.get(typeName(field.type)), selection.selectionSet)
      }
    }
  }
  const requiring = new Map<string, string[]>()
  for (const [name, type] of types) {
    for (const field of type.fields ?? []) {
      for (const join of directivesNamed(field.directives, 'join__field')) {
        const requires = textArgument(join, 'requires')
        const graph = textArgument(join, 'graph')
        if (requires === undefined || graph === undefined) continue
        collect(type, selectionsOf(requires))
        const key = `${name}.${field.name.value}`
        requiring.set(key, [...(requiring.get(key) ?? []), graph])
      }
    }
  }
  return new Map([...requiring].filter(([key]) => required.has(key)))
}

function apartOf(type: ObjectTypeDefinitionNode, graph: string, composite: ReadonlySet<string>): Apart | undefined {
  const keys = directivesNamed(type.directives, 'join__type')
    .filter((join) => textArgument(join, 'graph') === graph && booleanArgument(join, 'resolvable') !== false)
    .flatMap((join) => textArgument(join, 'key') ?? [])
  if (keys.length === 0) return undefined
  const moved = new Set<string>()
  const required = new Set<string>()
  const declared = new Set(keys.flatMap((key) => topNames(key)))
  for (const field of type.fields ?? []) {
    const join = joinIn(field, graph)
    const requires = textArgument(join, 'requires')
    if (join === undefined || requires === undefined) continue
    const isSingle = !requires.includes('{') && !composite.has(typeName(field.type))
    if (isSingle && argumentOf(join, 'contextArguments') === undefined) {
      moved.add(field.name.value)
      for (const name of topNames(requires)) required.add(name)
    } else {
      for (const name of topNames(requires)) declared.add(name)
    }
  }
  if (moved.size === 0) return undefined
  const undeclared = new Set(
    [...required].filter((name) => {
      const field = type.fields?.find((candidate) => candidate.name.value === name)
      const join = field && joinIn(field, graph)
      return !declared.has(name) && join !== undefined && booleanArgument(join, 'external') === true
    }),
  )
  return { graph, moved, required, undeclared, keys }
}

/** `Type.field` -> the graphs in whose apart subgraphs it lies as part of a key. */
function insideOf(
  types: ReadonlyMap<string, ObjectTypeDefinitionNode>,
  apart: ReadonlyMap<string, readonly Apart[]>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const inside = new Map<string, Set<string>>()
  const add = (type: ObjectTypeDefinitionNode | undefined, set: SelectionSetNode, graph: string): void => {
    for (const selection of set.selections) {
      if (type === undefined || selection.kind !== Kind.FIELD) continue
      const key = `${type.name.value}.${selection.name.value}`
      inside.set(key, (inside.get(key) ?? new Set()).add(graph))
      const field = type.fields?.find(({ name }) => name.value === selection.name.value)
      if (field !== undefined && selection.selectionSet !== undefined) {
        add(types.get(typeName(field.type)), selection.selectionSet, graph)
      }
    }
  }
  for (const [name, parts] of apart) {
    for (const { graph, keys } of parts) for (const key of keys) add(types.get(name), selectionsOf(key), graph)
  }
  return inside
}

function withApart(
  type: ObjectTypeDefinitionNode,
  parts: readonly Apart[],
  inside: ReadonlyMap<string, ReadonlySet<string>>,
  graphs: ReadonlySet<string>,
): ObjectTypeDefinitionNode {
  const keyGraphs = new Set(
    [...graphs].filter((graph) =>
      (type.fields ?? []).some(({ name }) => inside.get(`${type.name.value}.${name.value}`)?.has(graph) === true),
    ),
  )
  if (parts.length === 0 && keyGraphs.size === 0) return type
  const joins = directivesNamed(type.directives, 'join__type')
  const typeGraphs = new Set(joins.flatMap((join) => textArgument(join, 'graph') ?? []))
  const added = joins.flatMap((join): ConstDirectiveNode[] => {
    const graph = textArgument(join, 'graph') ?? ''
    const part = parts.find((candidate) => candidate.graph === graph)
    if (part !== undefined)
      return part.keys.includes(textArgument(join, 'key') ?? '') ? [inGraph(join, apartName(graph))] : []
    return keyGraphs.has(graph) ? [joinOf('join__type', apartName(graph))] : []
  })
  const fields = (type.fields ?? []).map((field): FieldDefinitionNode => {
    const name = field.name.value
    // Without a directive a field is in all graphs of its type: now it is said in which.
    const given = directivesNamed(field.directives, 'join__field')
    const all = given.length > 0 ? given : [...typeGraphs].map((graph) => joinOf('join__field', graph))
    const kept = all.flatMap((join): ConstDirectiveNode[] => {
      const graph = textArgument(join, 'graph') ?? ''
      const part = parts.find((candidate) => candidate.graph === graph)
      const isKey = inside.get(`${type.name.value}.${name}`)?.has(graph) === true
      if (isKey) return [join, joinOf('join__field', apartName(graph))]
      if (part?.moved.has(name) === true) return [inGraph(join, apartName(graph))]
      if (part?.required.has(name) !== true) return [join]
      return part.undeclared.has(name) ? [inGraph(join, apartName(graph))] : [join, inGraph(join, apartName(graph))]
    })
    const others = (field.directives ?? []).filter((directive) => directive.name.value !== 'join__field')
    return { ...field, directives: [...others, ...kept] }
  })
  return { ...type, directives: [...(type.directives ?? []), ...dedupe(added)], fields }
}

/** Leaves are known wherever their graph's fields went. */
function joinedLeaf<T extends { readonly directives?: readonly ConstDirectiveNode[] | undefined }>(
  type: T,
  graphs: ReadonlySet<string>,
): T {
  return { ...type, directives: withCopies(type.directives, 'join__type', graphs) }
}

function withCopies(
  directives: readonly ConstDirectiveNode[] | undefined,
  name: string,
  graphs: ReadonlySet<string>,
): ConstDirectiveNode[] {
  const copies = directivesNamed(directives, name).flatMap((join) => {
    const graph = textArgument(join, 'graph') ?? ''
    return graphs.has(graph) ? [inGraph(join, apartName(graph))] : []
  })
  return [...(directives ?? []), ...copies]
}

function joinIn(field: FieldDefinitionNode, graph: string): ConstDirectiveNode | undefined {
  return directivesNamed(field.directives, 'join__field').find((join) => textArgument(join, 'graph') === graph)
}

const apartName = (graph: string): string => `${graph}${mark}`

const inGraph = (join: ConstDirectiveNode, graph: string): ConstDirectiveNode =>
  withArgument(join, 'graph', { kind: Kind.ENUM, value: graph })

const joinOf = (name: string, graph: string): ConstDirectiveNode =>
  inGraph({ kind: Kind.DIRECTIVE, name: nameNode(name), arguments: [] }, graph)

function withArgument(
  directive: ConstDirectiveNode,
  name: string,
  value: { readonly kind: Kind.ENUM | Kind.STRING; readonly value: string },
): ConstDirectiveNode {
  const others = (directive.arguments ?? []).filter((argument) => argument.name.value !== name)
  return { ...directive, arguments: [{ kind: Kind.ARGUMENT, name: nameNode(name), value }, ...others] }
}

/** A type may have one key twice, for an interface and for itself. */
function dedupe(joins: readonly ConstDirectiveNode[]): ConstDirectiveNode[] {
  const seen = new Map(joins.map((join) => [`${textArgument(join, 'graph')} ${textArgument(join, 'key')}`, join]))
  return [...seen.values()]
}

const nameNode = (value: string): { kind: Kind.NAME; value: string } => ({ kind: Kind.NAME, value })

const typeName = (type: TypeNode): string => (type.kind === Kind.NAMED_TYPE ? type.name.value : typeName(type.type))

const topNames = (fields: string): string[] =>
  selectionsOf(fields).selections.flatMap((selection) => (selection.kind === Kind.FIELD ? [selection.name.value] : []))

function selectionsOf(fields: string): SelectionSetNode {
  const [operation] = parse(`{ ${fields} }`, { noLocation: true }).definitions
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error('A selection was parsed.')
  return operation.selectionSet
}

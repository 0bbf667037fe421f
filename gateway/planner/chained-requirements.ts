/**
 * A field that requires, and is required: `b @requires(fields: "a")` in one subgraph, `c @requires(fields: "b")` in
 * another that also has `a`. Coming from the first, Apollo's planner finds `a` among its fields, where it is only
 * declared (`@external`), and asks the first subgraph for it. Here what requires moves, with what it requires, into a
 * subgraph that only the planner knows; what is left declares nothing that it does not have. Fields at different depths
 * of a chain move into different ones, since a chain may come through one subgraph twice. In the finished plan all go by
 * the one name. It is done where such a chain is, for fields that are single values and require them, also through
 * references and unions.
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
  type UnionTypeDefinitionNode,
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
  /** The planner's own. */
  readonly name: string
  /** Fields that require. */
  readonly moved: ReadonlySet<string>
  /** Fields that they require. */
  readonly required: ReadonlySet<string>
  /** Those of them that the graph declares for nothing else. */
  readonly undeclared: ReadonlySet<string>
  readonly keys: readonly string[]
  /** `Type.field` that are required through other fields. */
  readonly nested: ReadonlySet<string>
  readonly unions: ReadonlySet<string>
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
  const unions = new Map(
    supergraph.definitions.flatMap((definition) =>
      definition.kind === Kind.UNION_TYPE_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  )
  const { chained, depthOf } = readChains(types)
  const apart = new Map<string, Apart[]>()
  for (const [name, type] of types) {
    const graphs = new Set([...chained].flatMap(([key, graph]) => (key.startsWith(`${name}.`) ? graph : [])))
    const found = [...graphs].flatMap((graph) => apartsOf({ type, graph, types, unions, composite, depthOf }))
    if (found.length > 0) apart.set(name, found)
  }
  if (apart.size === 0) return { document: supergraph, restore: (plan) => plan }

  const all = [...apart.values()].flat()
  const inside = insideOf(types, unions, apart)
  const names = subgraphNames(supergraph)
  /** Graph -> the planner's own that stand for it. */
  const graphs = new Map<string, Set<string>>()
  for (const { graph, name } of all) graphs.set(graph, (graphs.get(graph) ?? new Set()).add(name))
  const realNames = new Map(
    [...graphs].flatMap(([graph, own]) => [...own].map((name) => [name, names.get(graph) ?? graph] as const)),
  )
  const document = visit(supergraph, {
    ObjectTypeDefinition: (type) => withApart(type, apart.get(type.name.value) ?? [], all, inside, graphs),
    UnionTypeDefinition: (union) => unionWithApart(union, all, inside),
    EnumTypeDefinition(type) {
      if (type.name.value !== 'join__Graph') return joinedLeaf(type, graphs)
      const added = (type.values ?? []).flatMap((value) => {
        const [join] = directivesNamed(value.directives, 'join__graph')
        if (join === undefined) return []
        return [...(graphs.get(value.name.value) ?? [])].map((name) => ({
          ...value,
          name: nameNode(name),
          directives: [withArgument(join, 'name', { kind: Kind.STRING, value: name })],
        }))
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

interface Chains {
  /** `Type.field` -> the graphs in which it requires, of fields that something requires. */
  readonly chained: ReadonlyMap<string, readonly string[]>
  /** How many requirements follow on each other from here; 0 for what requires only fields that do not. */
  depthOf(key: string): number
}

function readChains(types: ReadonlyMap<string, ObjectTypeDefinitionNode>): Chains {
  /** `Type.field` -> what it requires. */
  const needs = new Map<string, Set<string>>()
  const collect = (type: ObjectTypeDefinitionNode | undefined, set: SelectionSetNode, needed: Set<string>): void => {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) continue
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        const condition = selection.typeCondition?.name.value
        collect(condition === undefined ? type : types.get(condition), selection.selectionSet, needed)
        continue
      }
      const field = type?.fields?.find(({ name }) => name.value === selection.name.value)
      if (type !== undefined) needed.add(`${type.name.value}.${selection.name.value}`)
      if (field !== undefined && selection.selectionSet !== undefined) {
        collect(types.get(typeName(field.type)), selection.selectionSet, needed)
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
        const key = `${name}.${field.name.value}`
        const needed = needs.get(key) ?? new Set()
        needs.set(key, needed)
        collect(type, selectionsOf(requires), needed)
        requiring.set(key, [...(requiring.get(key) ?? []), graph])
      }
    }
  }
  const required = new Set([...needs.values()].flatMap((needed) => [...needed]))
  const depths = new Map<string, number>()
  function depthOf(key: string): number {
    const known = depths.get(key)
    if (known !== undefined) return known
    // Where requirements go in a circle, it is cut here.
    depths.set(key, 0)
    const below = [...(needs.get(key) ?? [])].filter((needed) => requiring.has(needed)).map(depthOf)
    const depth = below.length === 0 ? 0 : 1 + Math.max(...below)
    depths.set(key, depth)
    return depth
  }
  return { chained: new Map([...requiring].filter(([key]) => required.has(key))), depthOf }
}

interface TypeInGraph {
  readonly type: ObjectTypeDefinitionNode
  readonly graph: string
  readonly types: ReadonlyMap<string, ObjectTypeDefinitionNode>
  readonly unions: ReadonlyMap<string, UnionTypeDefinitionNode>
  readonly composite: ReadonlySet<string>
  depthOf(key: string): number
}

function apartsOf({ type, graph, types, unions, composite, depthOf }: TypeInGraph): Apart[] {
  const keys = keysOf(type, graph)
  if (keys.length === 0) return []
  /** Depth -> what requires there, and what it requires. */
  const levels = new Map<number, { moved: Set<string>; required: Set<string>; through: Through }>()
  const declared = new Set(keys.flatMap((key) => topNames(key)))
  for (const field of type.fields ?? []) {
    const join = joinIn(field, graph)
    const requires = textArgument(join, 'requires')
    if (join === undefined || requires === undefined) continue
    const through = composite.has(typeName(field.type)) ? undefined : requiredThrough(requires, type, types, unions)
    if (through !== undefined && argumentOf(join, 'contextArguments') === undefined) {
      const depth = depthOf(`${type.name.value}.${field.name.value}`)
      const level = levels.get(depth) ?? {
        moved: new Set(),
        required: new Set(),
        through: { nested: new Set(), unions: new Set() },
      }
      levels.set(depth, level)
      level.moved.add(field.name.value)
      for (const name of topNames(requires)) level.required.add(name)
      for (const name of through.nested) level.through.nested.add(name)
      for (const name of through.unions) level.through.unions.add(name)
    } else {
      for (const name of topNames(requires)) declared.add(name)
    }
  }
  return Array.from(levels, ([depth, { moved, required, through }]) => {
    const undeclared = new Set(
      [...required].filter((name) => {
        const field = type.fields?.find((candidate) => candidate.name.value === name)
        const join = field && joinIn(field, graph)
        return !declared.has(name) && join !== undefined && booleanArgument(join, 'external') === true
      }),
    )
    return { graph, name: `${graph}${mark}${depth}`, moved, required, undeclared, keys, ...through }
  })
}

/** Keys that the graph resolves. */
function keysOf(type: ObjectTypeDefinitionNode, graph: string): string[] {
  return directivesNamed(type.directives, 'join__type')
    .filter((join) => textArgument(join, 'graph') === graph && booleanArgument(join, 'resolvable') !== false)
    .flatMap((join) => textArgument(join, 'key') ?? [])
}

interface Through {
  readonly nested: Set<string>
  readonly unions: Set<string>
}

/** What a requirement goes through below its own type; `undefined` where that is more than objects and unions. */
function requiredThrough(
  requires: string,
  type: ObjectTypeDefinitionNode,
  types: ReadonlyMap<string, ObjectTypeDefinitionNode>,
  unions: ReadonlyMap<string, UnionTypeDefinitionNode>,
): Through | undefined {
  const through: Through = { nested: new Set(), unions: new Set() }
  const follow = (set: SelectionSetNode, typeNow: string, depth: number): boolean =>
    set.selections.every((selection) => {
      if (selection.kind === Kind.FRAGMENT_SPREAD) return false
      if (selection.kind === Kind.INLINE_FRAGMENT) {
        return follow(selection.selectionSet, selection.typeCondition?.name.value ?? typeNow, depth)
      }
      if (selection.name.value === '__typename') return true
      const field = types.get(typeNow)?.fields?.find(({ name }) => name.value === selection.name.value)
      if (field === undefined) return false
      if (depth > 0) through.nested.add(`${typeNow}.${selection.name.value}`)
      if (selection.selectionSet === undefined) return true
      const next = typeName(field.type)
      if (unions.has(next)) through.unions.add(next)
      else if (!types.has(next)) return false
      return follow(selection.selectionSet, next, depth + 1)
    })
  return follow(selectionsOf(requires), type.name.value, 0) ? through : undefined
}

/** `Type.field` -> the planner's own subgraphs in which it lies as part of a key. */
function insideOf(
  types: ReadonlyMap<string, ObjectTypeDefinitionNode>,
  unions: ReadonlyMap<string, UnionTypeDefinitionNode>,
  apart: ReadonlyMap<string, readonly Apart[]>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const inside = new Map<string, Set<string>>()
  const add = (type: ObjectTypeDefinitionNode | undefined, set: SelectionSetNode, apartName: string): void => {
    for (const selection of set.selections) {
      if (type === undefined || selection.kind !== Kind.FIELD) continue
      const key = `${type.name.value}.${selection.name.value}`
      inside.set(key, (inside.get(key) ?? new Set()).add(apartName))
      const field = type.fields?.find(({ name }) => name.value === selection.name.value)
      if (field !== undefined && selection.selectionSet !== undefined) {
        add(types.get(typeName(field.type)), selection.selectionSet, apartName)
      }
    }
  }
  for (const [name, parts] of apart) {
    for (const part of parts) {
      for (const key of part.keys) add(types.get(name), selectionsOf(key), part.name)
      // A union is to have the members there that it has in the graph.
      for (const union of part.unions) {
        for (const member of membersOf(unions.get(union), part.graph)) {
          const type = types.get(member)
          const [key] = type === undefined ? [] : keysOf(type, part.graph)
          if (key !== undefined) add(type, selectionsOf(key), part.name)
        }
      }
    }
  }
  return inside
}

function membersOf(union: UnionTypeDefinitionNode | undefined, graph: string): string[] {
  return directivesNamed(union?.directives, 'join__unionMember').flatMap((join) =>
    textArgument(join, 'graph') === graph ? (textArgument(join, 'member') ?? []) : [],
  )
}

function unionWithApart(
  union: UnionTypeDefinitionNode,
  apart: readonly Apart[],
  inside: ReadonlyMap<string, ReadonlySet<string>>,
): UnionTypeDefinitionNode {
  const joins = new Map<string, ConstDirectiveNode[]>()
  for (const { name, graph, unions } of apart) {
    if (!unions.has(union.name.value)) continue
    const members = membersOf(union, graph).filter((member) => {
      const isKnown = (key: string, names: ReadonlySet<string>): boolean =>
        key.startsWith(`${member}.`) && names.has(name)
      return (
        [...inside].some(([key, names]) => isKnown(key, names)) ||
        apart.some((part) => part.name === name && [...part.nested].some((key) => key.startsWith(`${member}.`)))
      )
    })
    joins.set(name, [
      joinOf('join__type', name),
      ...members.map((member) =>
        withArgument(joinOf('join__unionMember', name), 'member', { kind: Kind.STRING, value: member }),
      ),
    ])
  }
  return joins.size === 0
    ? union
    : { ...union, directives: [...(union.directives ?? []), ...[...joins.values()].flat()] }
}

function withApart(
  type: ObjectTypeDefinitionNode,
  parts: readonly Apart[],
  all: readonly Apart[],
  inside: ReadonlyMap<string, ReadonlySet<string>>,
  graphs: ReadonlyMap<string, ReadonlySet<string>>,
): ObjectTypeDefinitionNode {
  /** The planner's own subgraphs for a graph in which the field is required through another. */
  const nestedIn = (field: string, graph: string): string[] => [
    ...new Set(
      all
        .filter((part) => part.graph === graph && part.nested.has(`${type.name.value}.${field}`))
        .map(({ name }) => name),
    ),
  ]
  /** The planner's own subgraphs for a graph in which the field is part of a key. */
  const keyIn = (field: string, graph: string): string[] =>
    [...(graphs.get(graph) ?? [])].filter((name) => inside.get(`${type.name.value}.${field}`)?.has(name) === true)
  const fieldNames = (type.fields ?? []).map(({ name }) => name.value)
  if (
    parts.length === 0 &&
    ![...graphs.keys()].some((graph) =>
      fieldNames.some((name) => keyIn(name, graph).length > 0 || nestedIn(name, graph).length > 0),
    )
  )
    return type
  const joins = directivesNamed(type.directives, 'join__type')
  const typeGraphs = new Set(joins.flatMap((join) => textArgument(join, 'graph') ?? []))
  const added = joins.flatMap((join): ConstDirectiveNode[] => {
    const graph = textArgument(join, 'graph') ?? ''
    const own = parts.filter((part) => part.graph === graph)
    const names = new Set(own.map(({ name }) => name))
    const asPart = new Set(fieldNames.flatMap((name) => [...keyIn(name, graph), ...nestedIn(name, graph)]))
    return [
      ...own
        .filter(({ keys }) => keys.includes(textArgument(join, 'key') ?? ''))
        .map(({ name }) => inGraph(join, name)),
      ...[...asPart.difference(names)].map((name) => joinOf('join__type', name)),
    ]
  })
  const fields = (type.fields ?? []).map((field): FieldDefinitionNode => {
    const name = field.name.value
    // Without a directive a field is in all graphs of its type: now it is said in which.
    const given = directivesNamed(field.directives, 'join__field')
    const all = given.length > 0 ? given : [...typeGraphs].map((graph) => joinOf('join__field', graph))
    const kept = all.flatMap((join): ConstDirectiveNode[] => {
      const graph = textArgument(join, 'graph') ?? ''
      const keys = keyIn(name, graph)
      const own = parts.filter((part) => part.graph === graph)
      const moved = own.find((part) => part.moved.has(name))
      if (moved !== undefined) return [inGraph(join, moved.name)]
      const requiring = own.filter((part) => part.required.has(name))
      const external = new Set([...requiring.map((part) => part.name), ...nestedIn(name, graph)])
      const copies = [
        ...keys.map((key) => joinOf('join__field', key)),
        ...[...external].filter((copy) => !keys.includes(copy)).map((copy) => externalIn(join, copy)),
      ]
      return requiring.some((part) => part.undeclared.has(name)) ? copies : [join, ...copies]
    })
    const others = (field.directives ?? []).filter((directive) => directive.name.value !== 'join__field')
    return { ...field, directives: [...others, ...kept] }
  })
  return { ...type, directives: [...(type.directives ?? []), ...dedupe(added)], fields }
}

/** Leaves are known wherever their graph's fields went. */
function joinedLeaf<T extends { readonly directives?: readonly ConstDirectiveNode[] | undefined }>(
  type: T,
  graphs: ReadonlyMap<string, ReadonlySet<string>>,
): T {
  return { ...type, directives: withCopies(type.directives, 'join__type', graphs) }
}

function withCopies(
  directives: readonly ConstDirectiveNode[] | undefined,
  name: string,
  graphs: ReadonlyMap<string, ReadonlySet<string>>,
): ConstDirectiveNode[] {
  const copies = directivesNamed(directives, name).flatMap((join) =>
    [...(graphs.get(textArgument(join, 'graph') ?? '') ?? [])].map((apartName) => inGraph(join, apartName)),
  )
  return [...(directives ?? []), ...copies]
}

function joinIn(field: FieldDefinitionNode, graph: string): ConstDirectiveNode | undefined {
  return directivesNamed(field.directives, 'join__field').find((join) => textArgument(join, 'graph') === graph)
}

const inGraph = (join: ConstDirectiveNode, graph: string): ConstDirectiveNode =>
  withArgument(join, 'graph', { kind: Kind.ENUM, value: graph })

const joinOf = (name: string, graph: string): ConstDirectiveNode =>
  inGraph({ kind: Kind.DIRECTIVE, name: nameNode(name), arguments: [] }, graph)

/** Known there, and never resolved there. */
function externalIn(join: ConstDirectiveNode, graph: string): ConstDirectiveNode {
  const type = (join.arguments ?? []).filter((argument) => argument.name.value === 'type')
  const made = joinOf('join__field', graph)
  const external = { kind: Kind.BOOLEAN as const, value: true }
  return {
    ...made,
    arguments: [
      ...(made.arguments ?? []),
      ...type,
      { kind: Kind.ARGUMENT, name: nameNode('external'), value: external },
    ],
  }
}

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

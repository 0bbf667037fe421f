/**
 * Shared fields whose types differ. Two subgraphs may resolve one field whose union (or interface) has other object
 * types in the one than in the other. Apollo's planner takes a type that one of them cannot return for a type that none
 * returns, and drops what the client selects on it, from the fetch to the subgraph that can return it as well: a silent
 * null. Here each such field gets a twin for each subgraph, which only that subgraph has (`actions__in_A`, of a union
 * with its types). When the first plan shows which subgraph is asked at a place, and the client selects there on types
 * that others do not know, the operation is planned again with the twin in that place; in the finished plan the twins
 * are called by their fields' names again. Clients never see them.
 */
import type { FetchNode, QueryPlan } from '@apollo/query-planner'
import {
  Kind,
  parse,
  print,
  stripIgnoredCharacters,
  visit,
  type ConstDirectiveNode,
  type DocumentNode,
  type FieldDefinitionNode,
  type GraphQLSchema,
  type ObjectTypeDefinitionNode,
  type TypeNode,
  type UnionTypeDefinitionNode,
} from 'graphql'
import { argumentOf, booleanArgument, directivesNamed, subgraphNames, textArgument } from './joins.ts'
import { mapFetches } from './map-fetches.ts'
import { withTwinsInPlaces, type Twin } from './partial-places.ts'

export interface PartialTypes {
  /** The supergraph for the planner. */
  readonly document: DocumentNode
  /**
   * The operation with twins where `plan` may have dropped something. `chosen` holds the places found before, and gets
   * those found now; `undefined` when there are none.
   */
  replanned(
    schema: GraphQLSchema,
    document: DocumentNode,
    operationName: string | undefined,
    plan: QueryPlan,
    chosen: Map<string, string>,
  ): DocumentNode | undefined
  /** Turns a plan with twins into one for the subgraphs as they are. */
  restore(plan: QueryPlan): QueryPlan
}

export function separatePartialTypes(supergraph: DocumentNode): PartialTypes {
  const facts = readSupergraph(supergraph)
  /** `Type.field` -> subgraph's name -> twin. */
  const twins = new Map<string, Map<string, Twin>>()
  /** The twins' and their unions' names -> the names in the subgraphs. */
  const realNames = new Map<string, string>()
  const unions = new Map<string, UnionTypeDefinitionNode>()

  function withTwins(owner: ObjectTypeDefinitionNode): ObjectTypeDefinitionNode {
    const added = (owner.fields ?? []).flatMap((field): FieldDefinitionNode[] => {
      const named = nameOf(field.type)
      const resolving = resolvingGraphs(owner, field)
      const typesOf = new Map(resolving.map(({ graph, type }) => [graph, facts.runtimeTypes(type ?? named, graph)]))
      if (!facts.isAbstract(named) || resolving.length < 2 || !differ([...typesOf.values()])) return []
      return resolving.flatMap(({ graph, join, type = named }) => {
        const types = typesOf.get(graph) ?? new Set()
        const subgraph = facts.subgraphNames.get(graph)
        if (types.size === 0 || subgraph === undefined) return []
        const name = `${field.name.value}${facts.mark}${graph}`
        const union = `${type}${facts.mark}${graph}`
        realNames.set(name, field.name.value).set(union, type)
        unions.set(union, unionDefinition(union, graph, types))
        const byGraph = twins.get(`${owner.name.value}.${field.name.value}`) ?? new Map<string, Twin>()
        const others = [...typesOf].filter(([other]) => other !== graph).map(([, set]) => set)
        twins.set(`${owner.name.value}.${field.name.value}`, byGraph.set(subgraph, { name, types, others }))
        return [
          {
            ...field,
            name: nameNode(name),
            type: withName(field.type, union),
            directives: [joinedIn(graph, join, type)],
          },
        ]
      })
    })
    return added.length === 0 ? owner : { ...owner, fields: [...(owner.fields ?? []), ...added] }
  }

  const document = visit(supergraph, { ObjectTypeDefinition: withTwins })
  if (twins.size === 0) return { document: supergraph, replanned: () => undefined, restore: (plan) => plan }
  return {
    document: { ...document, definitions: [...document.definitions, ...unions.values()] },
    replanned(schema, operation, operationName, plan, chosen) {
      const known = chosen.size
      const rewritten = withTwinsInPlaces({ schema, twins, plan, chosen }, operation, operationName)
      return chosen.size === known ? undefined : rewritten
    },
    restore: (plan) => restorePlan(plan, realNames, facts.mark),
  }
}

function restorePlan(plan: QueryPlan, realNames: ReadonlyMap<string, string>, mark: string): QueryPlan {
  const fetch = (node: FetchNode): FetchNode => {
    if (!node.operation.includes(mark)) return node
    const operation = visit(parse(node.operation, { noLocation: true }), {
      Name(name) {
        const real = realNames.get(name.value)
        return real === undefined ? undefined : nameNode(real)
      },
    })
    return { ...node, operation: stripIgnoredCharacters(print(operation)) }
  }
  return mapFetches(plan, (node) => [fetch(node)])
}

interface SupergraphFacts {
  /** Stands in the names of twins and in no other. */
  readonly mark: string
  /** Graph (a value of `join__Graph`) -> the subgraph's name. */
  readonly subgraphNames: ReadonlyMap<string, string>
  isAbstract(type: string): boolean
  /** The object types that a value of this type may have in this graph. */
  runtimeTypes(type: string, graph: string): ReadonlySet<string>
}

function readSupergraph(supergraph: DocumentNode): SupergraphFacts {
  const abstract = new Set<string>()
  /** `Type graph` -> object types. */
  const members = new Map<string, Set<string>>()
  const add = (type: string | undefined, graph: string | undefined, member: string | undefined): void => {
    if (type === undefined || graph === undefined || member === undefined) return
    const key = `${type} ${graph}`
    members.set(key, (members.get(key) ?? new Set()).add(member))
  }
  const objectInterfaces = new Set<string>()
  const names: string[] = []
  for (const definition of supergraph.definitions) {
    if (definition.kind === Kind.UNION_TYPE_DEFINITION) {
      abstract.add(definition.name.value)
      for (const join of directivesNamed(definition.directives, 'join__unionMember')) {
        add(definition.name.value, textArgument(join, 'graph'), textArgument(join, 'member'))
      }
    }
    if (definition.kind === Kind.INTERFACE_TYPE_DEFINITION) {
      abstract.add(definition.name.value)
      const isObject = directivesNamed(definition.directives, 'join__type').some(
        (join) => booleanArgument(join, 'isInterfaceObject') === true,
      )
      if (isObject) objectInterfaces.add(definition.name.value)
    }
    if (definition.kind === Kind.OBJECT_TYPE_DEFINITION) {
      for (const join of directivesNamed(definition.directives, 'join__implements')) {
        add(textArgument(join, 'interface'), textArgument(join, 'graph'), definition.name.value)
      }
      names.push(...(definition.fields ?? []).map(({ name }) => name.value))
    }
    if ('name' in definition && definition.name !== undefined) names.push(definition.name.value)
  }
  // An interface object stands for all types of its interface: such interfaces are the same everywhere.
  for (const name of objectInterfaces) abstract.delete(name)
  let mark = '__in_'
  while (names.some((name) => name.includes(mark))) mark = `_${mark}`
  return {
    mark,
    subgraphNames: subgraphNames(supergraph),
    isAbstract: (type) => abstract.has(type),
    runtimeTypes: (type, graph) =>
      abstract.has(type) ? (members.get(`${type} ${graph}`) ?? new Set()) : new Set([type]),
  }
}

interface Resolving {
  readonly graph: string
  readonly join: ConstDirectiveNode | undefined
  /** The field's named type in this graph, where it is said. */
  readonly type: string | undefined
}

/** The graphs that resolve the field; none where it depends on more than the graph. */
function resolvingGraphs(owner: ObjectTypeDefinitionNode, field: FieldDefinitionNode): Resolving[] {
  if (directivesNamed(field.directives, 'inaccessible').length > 0) return []
  const joins = directivesNamed(field.directives, 'join__field')
  if (
    joins.some(
      (join) => argumentOf(join, 'overrideLabel') !== undefined || argumentOf(join, 'contextArguments') !== undefined,
    )
  )
    return []
  const resolving = joins
    .filter((join) => booleanArgument(join, 'external') !== true && booleanArgument(join, 'usedOverridden') !== true)
    .flatMap((join): Resolving[] => {
      const graph = textArgument(join, 'graph')
      const type = textArgument(join, 'type')?.replaceAll(/[[\]!]/g, '')
      return graph === undefined ? [] : [{ graph, join, type }]
    })
  if (joins.length > 0) return resolving
  const graphs = new Set(
    directivesNamed(owner.directives, 'join__type').flatMap((join) => textArgument(join, 'graph') ?? []),
  )
  return [...graphs].map((graph) => ({ graph, join: undefined, type: undefined }))
}

function differ([first, ...rest]: readonly ReadonlySet<string>[]): boolean {
  return first !== undefined && rest.some((other) => first.symmetricDifference(other).size > 0)
}

function unionDefinition(name: string, graph: string, types: ReadonlySet<string>): UnionTypeDefinitionNode {
  const members = [...types].map((type) => `@join__unionMember(graph: ${graph}, member: "${type}")`).join(' ')
  const text = `union ${name} @join__type(graph: ${graph}) ${members} = ${[...types].join(' | ')}`
  const [definition] = parse(text, { noLocation: true }).definitions
  if (definition?.kind !== Kind.UNION_TYPE_DEFINITION) throw new Error('A union was parsed.')
  return definition
}

/** How the twin is joined: as its field is in this graph, but with its own type. */
function joinedIn(graph: string, join: ConstDirectiveNode | undefined, type: string): ConstDirectiveNode {
  const kept = (join?.arguments ?? []).flatMap((argument) => {
    if (argument.name.value === 'requires') return [argument]
    if (argument.name.value !== 'provides' || argument.value.kind !== Kind.STRING) return []
    const value = `... on ${type} { ${argument.value.value} }`
    return [{ ...argument, value: { kind: Kind.STRING as const, value } }]
  })
  return {
    kind: Kind.DIRECTIVE,
    name: nameNode('join__field'),
    arguments: [{ kind: Kind.ARGUMENT, name: nameNode('graph'), value: { kind: Kind.ENUM, value: graph } }, ...kept],
  }
}

const nameNode = (value: string): { kind: Kind.NAME; value: string } => ({ kind: Kind.NAME, value })

const nameOf = (type: TypeNode): string => (type.kind === Kind.NAMED_TYPE ? type.name.value : nameOf(type.type))

function withName(type: TypeNode, name: string): TypeNode {
  switch (type.kind) {
    case Kind.NAMED_TYPE:
      return { ...type, name: nameNode(name) }
    case Kind.LIST_TYPE:
      return { ...type, type: withName(type.type, name) }
    case Kind.NON_NULL_TYPE: {
      const inner = withName(type.type, name)
      return inner.kind === Kind.NON_NULL_TYPE ? inner : { ...type, type: inner }
    }
    default:
      return type satisfies never
  }
}

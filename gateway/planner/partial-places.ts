/**
 * Where an operation asks for twins (see `partial-types.ts`): in the places where a plan asks one subgraph for a field
 * whose types differ, and the client selects on types that some other subgraph does not know there.
 */
import type { QueryPlan } from '@apollo/query-planner'
import {
  getNamedType,
  getOperationAST,
  isAbstractType,
  isCompositeType,
  isObjectType,
  Kind,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLSchema,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'
import { fetchedPlaces } from './fetched-places.ts'

export interface Twin {
  readonly name: string
  /** The types that the subgraph may return here, and for each other subgraph those that it may. */
  readonly types: ReadonlySet<string>
  readonly others: readonly ReadonlySet<string>[]
}

interface Places {
  readonly schema: GraphQLSchema
  readonly twins: ReadonlyMap<string, ReadonlyMap<string, Twin>>
  readonly plan: QueryPlan
  /** Place -> subgraph. */
  readonly chosen: Map<string, string>
}

/** Named fragments are written out: one of them may stand in several places. */
export function withTwinsInPlaces(
  { schema, twins, plan, chosen }: Places,
  document: DocumentNode,
  operationName: string | undefined,
): DocumentNode {
  const operation = getOperationAST(document, operationName)
  const root = operation == null ? undefined : schema.getRootType(operation.operation)
  if (operation == null || root == null) return document
  const fragments = new Map(
    document.definitions
      .filter((definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION)
      .map((definition) => [definition.name.value, definition]),
  )
  const fetched = fetchedPlaces(plan)

  function rewriteSet(set: SelectionSetNode, parent: GraphQLCompositeType, path: string): SelectionSetNode {
    return { ...set, selections: set.selections.map((selection) => rewrite(selection, parent, path)) }
  }

  function rewrite(selection: SelectionNode, parent: GraphQLCompositeType, path: string): SelectionNode {
    if (selection.kind === Kind.FIELD) return rewriteField(selection, parent, path)
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection
    if (fragment === undefined) return selection
    const condition = fragment.typeCondition
    const type = condition === undefined ? parent : schema.getType(condition.name.value)
    return {
      kind: Kind.INLINE_FRAGMENT,
      ...(condition && { typeCondition: condition }),
      ...(selection.directives && { directives: selection.directives }),
      selectionSet: isCompositeType(type) ? rewriteSet(fragment.selectionSet, type, path) : fragment.selectionSet,
    }
  }

  function rewriteField(field: FieldNode, parent: GraphQLCompositeType, path: string): FieldNode {
    const definition = 'getFields' in parent ? parent.getFields()[field.name.value] : undefined
    if (definition === undefined || field.selectionSet === undefined) return field
    const key = field.alias ?? field.name
    const place = path === '' ? key.value : `${path}.${key.value}`
    const type = getNamedType(definition.type)
    if (!isCompositeType(type)) return field
    const selectionSet = rewriteSet(field.selectionSet, type, place)
    const ofField = isObjectType(parent) ? twins.get(`${parent.name}.${field.name.value}`) : undefined
    const twin = ofField?.get(subgraphAt(place) ?? '')
    if (twin === undefined || !selectsPartially(selectionSet, typeNames(type), twin)) return { ...field, selectionSet }
    if (!chosen.has(place)) chosen.set(place, subgraphAt(place) ?? '')
    // A twin's union has no fields of its own: what stood on an interface stands in a fragment on it.
    const inside: SelectionNode = {
      kind: Kind.INLINE_FRAGMENT,
      typeCondition: { kind: Kind.NAMED_TYPE, name: nameNode(type.name) },
      selectionSet,
    }
    return {
      ...field,
      alias: key,
      name: nameNode(twin.name),
      selectionSet: { kind: Kind.SELECTION_SET, selections: [inside] },
    }
  }

  /** Where several subgraphs are asked in one place, the first plan stands. */
  function subgraphAt(place: string): string | undefined {
    const [subgraph, ...more] = fetched.get(place) ?? []
    return chosen.get(place) ?? (more.length === 0 ? subgraph : undefined)
  }

  function typeNames(type: GraphQLCompositeType): ReadonlySet<string> {
    return new Set(isAbstractType(type) ? schema.getPossibleTypes(type).map(({ name }) => name) : [type.name])
  }

  /** Whether a fragment selects on types that this subgraph may return here and some other may not. */
  function selectsPartially(set: SelectionSetNode, types: ReadonlySet<string>, twin: Twin): boolean {
    return set.selections.some((selection) => {
      if (selection.kind !== Kind.INLINE_FRAGMENT) return false
      const condition = selection.typeCondition && schema.getType(selection.typeCondition.name.value)
      const within = isCompositeType(condition) ? types.intersection(typeNames(condition)) : types
      if (within.isDisjointFrom(twin.types)) return false
      if (twin.others.some((other) => within.isDisjointFrom(other))) return true
      return selectsPartially(selection.selectionSet, within, twin)
    })
  }

  return {
    ...document,
    definitions: [{ ...operation, selectionSet: rewriteSet(operation.selectionSet, root, '') }],
  }
}

const nameNode = (value: string): { kind: Kind.NAME; value: string } => ({ kind: Kind.NAME, value })

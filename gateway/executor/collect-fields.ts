/** What an operation selects of an object, in the client's order (GraphQL specification, CollectFields). */
import {
  isAbstractType,
  isInterfaceType,
  Kind,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLInterfaceType,
  type GraphQLObjectType,
  type GraphQLSchema,
  type SelectionSetNode,
} from 'graphql'

/** By response name; fields of one name are merged. */
export type CollectedFields = ReadonlyMap<string, readonly FieldNode[]>

/**
 * What is known of an object: its type, or an interface of it where no subgraph was asked which type it has, since the
 * client selects nothing that depends on it (`@interfaceObject`).
 */
export type KnownType = GraphQLObjectType | GraphQLInterfaceType

export type CollectFields = (type: KnownType, sets: readonly SelectionSetNode[]) => CollectedFields

/**
 * @param conditions the values of every variable used by `@skip` and `@include`
 * @param undecided what to do where an interface is not enough to know what is selected; throws
 */
export function createFieldCollector(
  schema: GraphQLSchema,
  document: DocumentNode,
  conditions: Readonly<Record<string, unknown>>,
  undecided: () => never,
): CollectFields {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  }

  function collect(type: KnownType, set: SelectionSetNode, collected: Map<string, FieldNode[]>): void {
    for (const selection of set.selections) {
      if (isLeftOut(selection.directives ?? [], conditions)) continue
      if (selection.kind === Kind.FIELD) {
        if (selection.name.value === '__typename' && isInterfaceType(type)) undecided()
        const name = selection.alias?.value ?? selection.name.value
        const nodes = collected.get(name)
        if (nodes === undefined) collected.set(name, [selection])
        else nodes.push(selection)
        continue
      }
      const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? fragments.get(selection.name.value) : selection
      const condition = fragment?.typeCondition?.name.value
      if (fragment !== undefined && (condition === undefined || applies(condition, type))) {
        collect(type, fragment.selectionSet, collected)
      }
    }
  }

  function applies(condition: string, type: KnownType): boolean {
    const wanted = schema.getType(condition)
    const fits = wanted === type || (isAbstractType(wanted) && schema.isSubType(wanted, type))
    return fits || (isInterfaceType(type) ? undecided() : false)
  }

  return (type, sets) => {
    const collected = new Map<string, FieldNode[]>()
    for (const set of sets) collect(type, set, collected)
    return collected
  }
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

/**
 * Which fields everybody with the same rights gets the same answer from. A field is public only where the schema says so,
 * by `@cacheControl(scope: PUBLIC)` on the field itself, or on its type where that type belongs to one subgraph alone: of
 * a type that several subgraphs build, the supergraph does not tell whose word the mark is, and one subgraph cannot speak
 * for another's fields. `PRIVATE` on either wins, and what says nothing is private. A mark is about the field, given its
 * parent: an answer is public only if everything on the way to everything in it is.
 */
import {
  type DirectiveNode,
  type DocumentNode,
  getNamedType,
  type GraphQLNamedType,
  type GraphQLSchema,
  isAbstractType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionSetNode,
} from 'graphql'

export interface PublicMarks {
  /** Of types by name, and of fields as `Type.field`. */
  readonly scopes: ReadonlyMap<string, Scope>
  /** Types that one subgraph alone builds. */
  readonly ofOneSubgraph: ReadonlySet<string>
}

type Scope = 'PUBLIC' | 'PRIVATE'

export function readPublicMarks(supergraph: DocumentNode): PublicMarks {
  const scopes = new Map<string, Scope>()
  const ofOneSubgraph = new Set<string>()
  for (const definition of supergraph.definitions) {
    if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.INTERFACE_TYPE_DEFINITION) continue
    const { directives = [], fields = [] } = definition
    const type = definition.name.value
    const graphs = new Set(directives.flatMap((directive) => enumArgument(directive, 'join__type', 'graph') ?? []))
    if (graphs.size === 1) ofOneSubgraph.add(type)
    const ofType = scopeIn(directives)
    if (ofType !== undefined) scopes.set(type, ofType)
    for (const field of fields) {
      const ofField = scopeIn(field.directives ?? [])
      if (ofField !== undefined) scopes.set(`${type}.${field.name.value}`, ofField)
    }
  }
  return { scopes, ofOneSubgraph }
}

/**
 * Whether everything that the operation may select is public, whatever its variables leave out: an operation of a client
 * against the schema that clients see, or a fetch of a plan against the supergraph's.
 */
export function selectsOnlyPublic(
  schema: GraphQLSchema,
  marks: PublicMarks,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): boolean {
  const fragments = new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  )
  const root = schema.getRootType(operation.operation)
  return root != null && operation.operation !== OperationTypeNode.MUTATION && publicSet(root, operation.selectionSet)

  function publicSet(parent: GraphQLNamedType | undefined, set: SelectionSetNode): boolean {
    return set.selections.every((selection) => {
      switch (selection.kind) {
        case Kind.FIELD:
          return publicField(parent, selection.name.value, selection.selectionSet)
        case Kind.INLINE_FRAGMENT: {
          const condition = selection.typeCondition?.name.value
          return publicSet(condition === undefined ? parent : schema.getType(condition), selection.selectionSet)
        }
        case Kind.FRAGMENT_SPREAD: {
          const fragment = fragments.get(selection.name.value)
          return (
            fragment !== undefined &&
            publicSet(schema.getType(fragment.typeCondition.name.value), fragment.selectionSet)
          )
        }
        default:
          return selection satisfies never
      }
    })
  }

  function publicField(
    parent: GraphQLNamedType | undefined,
    name: string,
    selectionSet: SelectionSetNode | undefined,
  ): boolean {
    // The schema and the names of types are everybody's who may ask at all.
    if (name.startsWith('__')) return true
    // What a plan's fetch starts with; whatever it selects says its own type.
    if (parent === root && name === '_entities') return selectionSet !== undefined && publicSet(undefined, selectionSet)
    if (!isObjectType(parent) && !isInterfaceType(parent)) return false
    const field = parent.getFields()[name]
    if (field === undefined || !isMarked(parent, name)) return false
    const type = getNamedType(field.type)
    return marks.scopes.get(type.name) !== 'PRIVATE' && (selectionSet === undefined || publicSet(type, selectionSet))
  }

  /** A field of an interface is whatever the field of the object's own type is: all of them must be public. */
  function isMarked(parent: GraphQLNamedType, name: string): boolean {
    const said = marks.scopes.get(`${parent.name}.${name}`)
    if (said === 'PRIVATE' || marks.scopes.get(parent.name) === 'PRIVATE') return false
    if (isAbstractType(parent)) {
      const types = schema.getPossibleTypes(parent)
      return types.length > 0 && types.every((type) => isMarked(type, name))
    }
    return said === 'PUBLIC' || (marks.ofOneSubgraph.has(parent.name) && marks.scopes.get(parent.name) === 'PUBLIC')
  }
}

function scopeIn(directives: readonly DirectiveNode[]): Scope | undefined {
  for (const directive of directives) {
    const scope = enumArgument(directive, 'cacheControl', 'scope')
    if (scope !== undefined) return scope === 'PUBLIC' ? 'PUBLIC' : 'PRIVATE'
  }
  return undefined
}

function enumArgument(directive: DirectiveNode, name: string, argument: string): string | undefined {
  if (directive.name.value !== name) return undefined
  const value = directive.arguments?.find((given) => given.name.value === argument)?.value
  return value?.kind === Kind.ENUM ? value.value : undefined
}

import {
  type DirectiveNode,
  type DocumentNode,
  type FieldNode,
  getNamedType,
  type GraphQLOutputType,
  type GraphQLSchema,
  isCompositeType,
  isInterfaceType,
  isObjectType,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  parse,
  type SelectionSetNode,
} from 'graphql'

/** What a supergraph says of caching: `@cacheControl` hints, and which types are entities with which key field. */
export interface CacheHints {
  /** Of types, by name, and of fields, as `Type.field`. */
  readonly hints: ReadonlyMap<string, CacheHint>
  /** Type name -> the field that is its key; only keys of a single field. */
  readonly keyFields: ReadonlyMap<string, string>
}

interface CacheHint {
  readonly maxAge?: number
  readonly scope?: 'PUBLIC' | 'PRIVATE'
  readonly inheritMaxAge?: boolean
}

/** How long an answer to an operation may be kept, and whether everybody may share it. Zero: not at all. */
export interface CachePolicy {
  readonly maxAgeSeconds: number
  readonly shared: boolean
}

const uncacheable: CachePolicy = { maxAgeSeconds: 0, shared: false }

export function readCacheHints(supergraphSdl: string): CacheHints {
  const hints = new Map<string, CacheHint>()
  const keyFields = new Map<string, string>()
  if (supergraphSdl === '') return { hints, keyFields }
  for (const definition of parse(supergraphSdl, { noLocation: true }).definitions) {
    if (!('name' in definition) || definition.name === undefined) continue
    const type = definition.name.value
    const directives: readonly DirectiveNode[] = 'directives' in definition ? (definition.directives ?? []) : []
    const hint = hintIn(directives)
    if (hint !== undefined) hints.set(type, hint)
    for (const directive of directives) {
      const key = directive.name.value === 'join__type' ? stringArgument(directive, 'key') : undefined
      if (key !== undefined && /^\w+$/.test(key)) keyFields.set(type, key)
    }
    if (!('fields' in definition)) continue
    for (const field of definition.fields ?? []) {
      const ofField = hintIn(field.directives ?? [])
      if (ofField !== undefined) hints.set(`${type}.${field.name.value}`, ofField)
    }
  }
  return { hints, keyFields }
}

/**
 * The least of the hints of all that an operation selects, by Apollo's rules: fields of the root and fields that give
 * objects are not cacheable unless a hint says so (on the field, else on its type); others are as their parent.
 */
export function cachePolicy(
  schema: GraphQLSchema,
  { hints }: CacheHints,
  document: DocumentNode,
  operation: OperationDefinitionNode,
): CachePolicy {
  let maxAge = Infinity
  let shared = true
  const fragments = new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  )

  function take(hint: CacheHint | undefined): void {
    if (hint?.maxAge !== undefined) maxAge = Math.min(maxAge, hint.maxAge)
    if (hint?.scope === 'PRIVATE') shared = false
  }

  function field(parent: string, node: FieldNode, root: boolean): void {
    if (node.name.value === '__typename') return
    const parentType = schema.getType(parent)
    const definition =
      isObjectType(parentType) || isInterfaceType(parentType) ? parentType.getFields()[node.name.value] : undefined
    // Introspection is answered by the gateway itself, at no cost worth keeping.
    if (definition === undefined) return take({ maxAge: 0 })
    const type: GraphQLOutputType = definition.type
    const named = getNamedType(type)
    const ofField = hints.get(`${parent}.${node.name.value}`)
    const ofType = isCompositeType(named) ? hints.get(named.name) : undefined
    take(ofType?.maxAge === undefined || ofField?.maxAge === undefined ? ofType : { ...ofType, maxAge: ofField.maxAge })
    take(ofField)
    const said = ofField?.maxAge !== undefined || ofType?.maxAge !== undefined
    const inherits = ofField?.inheritMaxAge === true || ofType?.inheritMaxAge === true
    if (!said && (root || (isCompositeType(named) && !inherits))) take({ maxAge: 0 })
    if (node.selectionSet !== undefined) set(named.name, node.selectionSet, false)
  }

  function set(parent: string, selections: SelectionSetNode, root: boolean): void {
    for (const selection of selections.selections) {
      if (maxAge === 0) return
      if (selection.kind === Kind.FIELD) {
        field(parent, selection, root)
      } else if (selection.kind === Kind.INLINE_FRAGMENT) {
        set(selection.typeCondition?.name.value ?? parent, selection.selectionSet, root)
      } else {
        const fragment = fragments.get(selection.name.value)
        if (fragment !== undefined) set(fragment.typeCondition.name.value, fragment.selectionSet, root)
      }
    }
  }

  const rootType = schema.getRootType(operation.operation)
  if (operation.operation !== OperationTypeNode.QUERY || rootType == null) return uncacheable
  set(rootType.name, operation.selectionSet, true)
  return maxAge === 0 || maxAge === Infinity ? uncacheable : { maxAgeSeconds: maxAge, shared }
}

function hintIn(directives: readonly DirectiveNode[]): CacheHint | undefined {
  const directive = directives.find(({ name }) => name.value === 'cacheControl')
  if (directive === undefined) return undefined
  const argument = (name: string) => directive.arguments?.find((argument) => argument.name.value === name)?.value
  const maxAge = argument('maxAge')
  const scope = argument('scope')
  const inherit = argument('inheritMaxAge')
  return {
    ...(maxAge?.kind === Kind.INT ? { maxAge: Number(maxAge.value) } : {}),
    ...(scope?.kind === Kind.ENUM ? { scope: scope.value === 'PRIVATE' ? 'PRIVATE' : 'PUBLIC' } : {}),
    ...(inherit?.kind === Kind.BOOLEAN ? { inheritMaxAge: inherit.value } : {}),
  }
}

function stringArgument(directive: DirectiveNode, name: string): string | undefined {
  const value = directive.arguments?.find((argument) => argument.name.value === name)?.value
  return value?.kind === Kind.STRING ? value.value : undefined
}

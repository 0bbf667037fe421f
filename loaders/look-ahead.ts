import {
  type FieldNode,
  getArgumentValues,
  getDirectiveValues,
  GraphQLError,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  GraphQLSkipDirective,
  isAbstractType,
  isObjectType,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'

/**
 * What is asked for one level further down, for a resolver whose statement can bring a child along: the arguments of each
 * selection of `field` on objects of `type`, as the field's own resolver will be given them, in the order of the query.
 * Arguments that cannot be read are left out; the field itself says what is wrong with them.
 */
export function argumentsAhead(info: GraphQLResolveInfo, type: string, field: string): readonly object[] {
  const parent = info.schema.getType(type)
  if (!isObjectType(parent)) return []
  const definition = parent.getFields()[field]
  if (definition === undefined) return []
  return info.fieldNodes
    .flatMap(({ selectionSet }) => fieldsOf(info, parent, selectionSet))
    .filter(({ name }) => name.value === field)
    .flatMap((node) => {
      try {
        return [getArgumentValues(definition, node, info.variableValues)]
      } catch (error) {
        if (!(error instanceof GraphQLError)) throw error
        return []
      }
    })
}

function fieldsOf(info: GraphQLResolveInfo, type: GraphQLObjectType, set: SelectionSetNode | undefined): FieldNode[] {
  return (set?.selections ?? []).flatMap((selection) => {
    if (!isIncluded(info, selection)) return []
    if (selection.kind === Kind.FIELD) return [selection]
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : info.fragments[selection.name.value]
    const condition = fragment?.typeCondition?.name.value
    return condition === undefined || applies(info, condition, type) ? fieldsOf(info, type, fragment?.selectionSet) : []
  })
}

function isIncluded({ variableValues }: GraphQLResolveInfo, selection: SelectionNode): boolean {
  return (
    getDirectiveValues(GraphQLSkipDirective, selection, variableValues)?.['if'] !== true &&
    getDirectiveValues(GraphQLIncludeDirective, selection, variableValues)?.['if'] !== false
  )
}

function applies({ schema }: GraphQLResolveInfo, condition: string, type: GraphQLObjectType): boolean {
  if (condition === type.name) return true
  const abstract = schema.getType(condition)
  return isAbstractType(abstract) && schema.isSubType(abstract, type)
}

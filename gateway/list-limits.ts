import {
  type GraphQLInputType,
  type GraphQLSchema,
  isInputObjectType,
  isListType,
  isNonNullType,
  type OperationDefinitionNode,
  typeFromAST,
} from 'graphql'
import { listTooLong } from '../core/errors.ts'

/**
 * Refuses lists in variables that are longer than `maxItems`, before anything is done for each of their items. What a
 * custom scalar holds (JSON) is its own business; lists written in the document are bounded by its tokens.
 * @throws AppError LIST_TOO_LONG
 */
export function checkLists(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
  maxItems: number,
): void {
  for (const definition of operation.variableDefinitions ?? []) {
    const name = definition.variable.name.value
    const value = variables[name]
    if (typeof value !== 'object' || value === null) continue
    const type = typeFromAST(schema, definition.type as never) as GraphQLInputType | undefined
    if (type !== undefined) check(type, value, `$${name}`, maxItems)
  }
}

function check(type: GraphQLInputType, value: unknown, path: string, maxItems: number): void {
  if (typeof value !== 'object' || value === null) return
  if (isNonNullType(type)) {
    check(type.ofType, value, path, maxItems)
  } else if (isListType(type)) {
    if (!Array.isArray(value)) return check(type.ofType, value, path, maxItems)
    if (value.length > maxItems) {
      throw listTooLong(`The list ${path} has ${value.length} items; the limit is ${maxItems}.`, maxItems, { path })
    }
    value.forEach((item, index) => check(type.ofType, item, `${path}[${index}]`, maxItems))
  } else if (isInputObjectType(type)) {
    for (const [name, field] of Object.entries(type.getFields())) {
      check(field.type, (value as Record<string, unknown>)[name], `${path}.${name}`, maxItems)
    }
  }
}

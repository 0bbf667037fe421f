/**
 * The client's variables: checked against their definitions before anything runs, passed on to subgraphs as they came,
 * and looked at here only where the plan itself depends on them (`@skip`, `@include`).
 */
import {
  getVariableValues,
  Kind,
  visit,
  type DocumentNode,
  type GraphQLError,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type TypeNode,
  type VariableDefinitionNode,
} from 'graphql'
import { own } from './json.ts'

export type Variables = Readonly<Record<string, unknown>>

/** The errors of variables that cannot be coerced; empty when all is well. */
export type VariableCheck = (variables: Variables) => readonly GraphQLError[]

export function compileVariableCheck(
  schema: GraphQLSchema,
  definitions: readonly VariableDefinitionNode[],
): VariableCheck {
  const simple = definitions.map((definition) => ({
    name: definition.variable.name.value,
    fits: simpleCheck(definition),
  }))
  return (variables) => {
    if (simple.every(({ name, fits }) => fits(own(variables, name)))) return []
    return getVariableValues(schema, definitions, variables).errors ?? []
  }
}

/** Says yes only to values that surely are right: plain ones of the types that nearly every variable has. */
function simpleCheck(definition: VariableDefinitionNode): (value: unknown) => boolean {
  const required = definition.type.kind === Kind.NON_NULL_TYPE
  const optional = !required || definition.defaultValue !== undefined
  const type: TypeNode = definition.type.kind === Kind.NON_NULL_TYPE ? definition.type.type : definition.type
  const name = type.kind === Kind.NAMED_TYPE ? type.name.value : ''
  return (value) => {
    if (value === undefined) return optional
    if (value === null) return !required
    switch (name) {
      case 'String':
        return typeof value === 'string'
      case 'ID':
        return typeof value === 'string'
      case 'Boolean':
        return typeof value === 'boolean'
      case 'Int':
        return typeof value === 'number' && (value | 0) === value
      case 'Float':
        return typeof value === 'number' && Number.isFinite(value)
      default:
        return false
    }
  }
}

/** The variables that `@skip` and `@include` of the operation and its fragments name. */
export function conditionVariables(document: DocumentNode): readonly string[] {
  const names = new Set<string>()
  visit(document, {
    Directive({ name, arguments: args = [] }) {
      if (name.value !== 'skip' && name.value !== 'include') return
      for (const { value } of args) if (value.kind === Kind.VARIABLE) names.add(value.name.value)
    },
  })
  return [...names]
}

export function conditionValues(
  names: readonly string[],
  operation: OperationDefinitionNode,
  variables: Variables,
): Readonly<Record<string, unknown>> {
  if (names.length === 0) return noValues
  const values: Record<string, unknown> = {}
  for (const name of names) {
    const given = own(variables, name)
    const definition = operation.variableDefinitions?.find(({ variable }) => variable.name.value === name)
    const preset = definition?.defaultValue
    values[name] = given === undefined && preset?.kind === Kind.BOOLEAN ? preset.value : given
  }
  return values
}

const noValues: Readonly<Record<string, unknown>> = {}

import {
  type DocumentNode,
  type FieldNode,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql'
import { afterArgument } from '../../core/starting-place.ts'

/** By convention of the schema: events carry it where their stream's field takes `after`. */
const cursorField = 'cursor'
const resumeVariable = 'ledgerwayResumeAfter'

/** Finds the cursor in an event's data, under whatever names the client gave; undefined where it was not selected. */
export function cursorReader(
  document: DocumentNode,
  operation: OperationDefinitionNode,
): (data: unknown) => string | undefined {
  const root = fieldsOf(document, operation.selectionSet)[0]
  const cursor =
    root?.selectionSet && fieldsOf(document, root.selectionSet).find((field) => field.name.value === cursorField)
  if (root === undefined || cursor == null) return () => undefined
  const rootName = responseName(root)
  const cursorName = responseName(cursor)
  return (data) => {
    const event = (data as Record<string, unknown> | null | undefined)?.[rootName]
    const value = (event as Record<string, unknown> | null | undefined)?.[cursorName]
    return typeof value === 'string' ? value : undefined
  }
}

/** The cursor that the client asked to go on from. */
export function afterOf(
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): string | undefined {
  const [root] = fieldsOf(document, operation.selectionSet)
  const given = root?.arguments?.find((argument) => argument.name.value === afterArgument)?.value
  const value =
    given?.kind === Kind.VARIABLE ? variables[given.name.value] : given?.kind === Kind.STRING ? given.value : undefined
  return typeof value === 'string' ? value : undefined
}

/** For each document once, so that what is compiled for it is found again. */
const resumable = new WeakMap<OperationDefinitionNode, Resumable>()

interface Resumable {
  readonly document: DocumentNode
  /** The variable that holds the cursor; undefined where the field takes none. */
  readonly variable: string | undefined
}

/**
 * The same subscription from behind `cursor`: its field's `after` is set, whether it was a variable, a literal or absent.
 * Where the field takes no `after` it is left as it is.
 */
export function resumeAfter(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
  cursor: string,
): { document: DocumentNode; variables: Readonly<Record<string, unknown>> } {
  const known = resumable.get(operation) ?? makeResumable(schema, document, operation)
  resumable.set(operation, known)
  if (known.variable === undefined) return { document, variables }
  return { document: known.document, variables: { ...variables, [known.variable]: cursor } }
}

function makeResumable(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode): Resumable {
  const root = fieldsOf(document, operation.selectionSet)[0]
  const definition = root && schema.getSubscriptionType()?.getFields()[root.name.value]
  const type = definition?.args.find((argument) => argument.name === afterArgument)?.type
  if (root === undefined || type === undefined) return { document, variable: undefined }
  const given = root.arguments?.find((argument) => argument.name.value === afterArgument)?.value
  if (given?.kind === Kind.VARIABLE) return { document, variable: given.name.value }
  const variable = { kind: Kind.VARIABLE, name: { kind: Kind.NAME, value: resumeVariable } } as const
  const field: FieldNode = {
    ...root,
    arguments: [
      ...(root.arguments ?? []).filter((argument) => argument.name.value !== afterArgument),
      { kind: Kind.ARGUMENT, name: { kind: Kind.NAME, value: afterArgument }, value: variable },
    ],
  }
  const named = { kind: Kind.NAMED_TYPE, name: { kind: Kind.NAME, value: String(type).replace('!', '') } } as const
  const resumed: OperationDefinitionNode = {
    ...operation,
    variableDefinitions: [
      ...(operation.variableDefinitions ?? []),
      { kind: Kind.VARIABLE_DEFINITION, variable, type: named },
    ],
    // Subscriptions have one root field: the selections that lead to it may be replaced by it.
    selectionSet: { kind: Kind.SELECTION_SET, selections: [field] },
  }
  const definitions = document.definitions.map((each) => (each === operation ? resumed : each))
  return { document: { ...document, definitions }, variable: resumeVariable }
}

function fieldsOf(document: DocumentNode, set: SelectionSetNode): FieldNode[] {
  return set.selections.flatMap((selection) => {
    if (selection.kind === Kind.FIELD) return [selection]
    if (selection.kind === Kind.INLINE_FRAGMENT) return fieldsOf(document, selection.selectionSet)
    const fragment = document.definitions.find(
      (definition) => definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === selection.name.value,
    )
    return fragment?.kind === Kind.FRAGMENT_DEFINITION ? fieldsOf(document, fragment.selectionSet) : []
  })
}

const responseName = (field: FieldNode): string => field.alias?.value ?? field.name.value

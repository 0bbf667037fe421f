import {
  type DocumentNode,
  getOperationAST,
  GraphQLError,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  validate,
} from 'graphql'
import { LRUCache } from 'lru-cache'
import { AppError } from '../core/errors.ts'
import { checkDocument, checkTokens } from './document-limits.ts'
import { checkLiterals, loneSurrogateIn } from './document-literals.ts'
import type { GatewayLimits } from './limits.ts'
import { validationRules } from './validation-rules.ts'

/**
 * GraphQL documents that this process has seen, each checked against the limits, parsed and validated once. Bounded by the
 * characters of their texts, refusals included: they are as often repeated as what is right.
 */
export interface Documents {
  /** Parsed and within the limits. @throws AppError QUERY_TOO_LARGE, JSON_*; GraphQLError for its syntax */
  prepare(text: string): DocumentNode
  /** Prepared, and valid for this schema. @throws as `prepare`, and InvalidDocument */
  valid(text: string, schema: GraphQLSchema): DocumentNode
}

/** What validation says of a document: several errors, of which none was thrown. */
export class InvalidDocument extends Error {
  readonly errors: readonly GraphQLError[]
  constructor(errors: readonly GraphQLError[]) {
    super('The document is not valid for the schema.')
    this.errors = errors
  }
}

interface Known {
  readonly document?: DocumentNode
  readonly refusal?: unknown
  validity?: { schema: GraphQLSchema; errors: readonly GraphQLError[] }
}

const maxCharacters = 20_000_000

export function createDocuments(deps: { limits: GatewayLimits }): Documents {
  const known = new LRUCache<string, Known>({
    maxSize: maxCharacters,
    sizeCalculation: (_value, text) => text.length + 200,
  })

  function look(text: string): Known {
    const found = known.get(text)
    if (found !== undefined) return found
    const made = read(text, deps.limits)
    known.set(text, made)
    return made
  }

  function documentOf(entry: Known): DocumentNode {
    if (entry.document === undefined) throw entry.refusal
    return entry.document
  }

  return {
    prepare: (text) => documentOf(look(text)),
    valid(text, schema) {
      const entry = look(text)
      const document = documentOf(entry)
      if (entry.validity?.schema !== schema) {
        const errors = validate(schema, document, validationRules).map((error) =>
          withCode(error, 'GRAPHQL_VALIDATION_FAILED'),
        )
        entry.validity = { schema, errors }
      }
      if (entry.validity.errors.length > 0) throw new InvalidDocument(entry.validity.errors)
      return document
    },
  }
}

/** @throws AppError OPERATION_RESOLUTION_FAILURE */
export function operationOf(document: DocumentNode, operationName: string | undefined): OperationDefinitionNode {
  const operation = getOperationAST(document, operationName)
  if (operation != null) return operation
  throw new AppError(
    'OPERATION_RESOLUTION_FAILURE',
    operationName === undefined
      ? 'The document holds several operations: name one by "operationName".'
      : `The document holds no operation "${operationName}".`,
  )
}

/** Whether it only asks for the schema: what is open in development without a key. */
export function onlyIntrospects(operation: OperationDefinitionNode): boolean {
  return operation.selectionSet.selections.every(
    (selection) => selection.kind === Kind.FIELD && selection.name.value.startsWith('__'),
  )
}

/** Whether it asks for the schema, also beside other things. */
export function introspects(document: DocumentNode, operation: OperationDefinitionNode): boolean {
  const fragments = new Map(
    document.definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition.selectionSet] as const] : [],
    ),
  )
  const asks = ({ selections }: SelectionSetNode): boolean =>
    selections.some((selection) => {
      if (selection.kind === Kind.FIELD) return selection.name.value === '__schema' || selection.name.value === '__type'
      if (selection.kind === Kind.INLINE_FRAGMENT) return asks(selection.selectionSet)
      const name = selection.name.value
      const set = fragments.get(name)
      // Once is enough: where two spread one fragment, its answer is the same.
      fragments.delete(name)
      return set !== undefined && asks(set)
    })
  return asks(operation.selectionSet)
}

function read(text: string, limits: GatewayLimits): Known {
  try {
    checkTokens(text, limits)
    const document = parse(text)
    checkDocument(document, limits)
    checkLiterals(document, limits)
    return { document }
  } catch (error) {
    if (!(error instanceof GraphQLError)) return { refusal: error }
    return { refusal: loneSurrogateIn(text, error, limits) ?? withCode(error, 'GRAPHQL_PARSE_FAILED') }
  }
}

function withCode(error: GraphQLError, code: string): GraphQLError {
  return new GraphQLError(error.message, {
    ...(error.nodes === undefined ? {} : { nodes: error.nodes }),
    ...(error.source === undefined ? {} : { source: error.source }),
    ...(error.positions === undefined ? {} : { positions: error.positions }),
    extensions: { ...error.extensions, code },
  })
}

import {
  type DocumentNode,
  type FragmentDefinitionNode,
  Kind,
  Lexer,
  type SelectionSetNode,
  Source,
  TokenKind,
} from 'graphql'
import { AppError } from '../core/errors.ts'
import type { GatewayLimits } from './limits.ts'

type DocumentLimits = Pick<
  GatewayLimits,
  | 'documentCharacters'
  | 'documentTokens'
  | 'documentDepth'
  | 'documentFields'
  | 'documentAliases'
  | 'documentRootFields'
  | 'documentRepeats'
>

/** Brackets inside each other: the parser is recursive, and this is what its stack is spent on. */
const maxNesting = 200

/**
 * What can be told before parsing: how many tokens, and how deep.
 * @throws AppError QUERY_TOO_LARGE; GraphQLError where it is not GraphQL
 */
export function checkTokens(text: string, limits: DocumentLimits): void {
  if (text.length > limits.documentCharacters) throw tooLarge('characters', limits.documentCharacters)
  const lexer = new Lexer(new Source(text))
  let tokens = 0
  let nesting = 0
  for (let token = lexer.advance(); token.kind !== TokenKind.EOF; token = lexer.advance()) {
    tokens += 1
    if (tokens > limits.documentTokens) throw tooLarge('tokens', limits.documentTokens)
    switch (token.kind) {
      case TokenKind.BRACE_L:
      case TokenKind.BRACKET_L:
      case TokenKind.PAREN_L:
        nesting += 1
        if (nesting > maxNesting) throw tooLarge('brackets inside each other', maxNesting)
        break
      case TokenKind.BRACE_R:
      case TokenKind.BRACKET_R:
      case TokenKind.PAREN_R:
        nesting -= 1
        break
      default:
    }
  }
}

/** @throws AppError QUERY_TOO_LARGE */
export function checkDocument(document: DocumentNode, limits: DocumentLimits): void {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  }
  const measure = measurer(fragments, limits)
  let aliases = 0
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.FRAGMENT_DEFINITION && definition.kind !== Kind.OPERATION_DEFINITION) continue
    const size = measure(definition.selectionSet)
    aliases += size.ownAliases
    if (size.depth > limits.documentDepth) throw tooLarge('fields inside each other', limits.documentDepth)
    if (size.fields > limits.documentFields) throw tooLarge('fields', limits.documentFields)
    if (definition.kind === Kind.OPERATION_DEFINITION && size.rootFields > limits.documentRootFields) {
      throw tooLarge('root fields', limits.documentRootFields)
    }
  }
  if (aliases > limits.documentAliases) throw tooLarge('aliases', limits.documentAliases)
}

interface Size {
  /** Fields inside each other, fragments followed. */
  depth: number
  /** Fields, fragments followed each time they are spread. */
  fields: number
  /** Fields of the set itself, fragments followed. */
  rootFields: number
  /** Aliases written in it, fragments not followed: each is written once. */
  ownAliases: number
}

/** Each fragment is measured once, so that fragments which spread each other twice cost no more than they are long. */
function measurer(
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  limits: DocumentLimits,
): (set: SelectionSetNode) => Size {
  const measured = new Map<string, Size>()
  const nothing: Size = { depth: 0, fields: 0, rootFields: 0, ownAliases: 0 }

  function ofFragment(name: string): Size {
    const known = measured.get(name)
    if (known !== undefined) return known
    const fragment = fragments.get(name)
    if (fragment === undefined) return nothing
    // A fragment inside itself is for validation to report.
    measured.set(name, nothing)
    const size = of(fragment.selectionSet)
    measured.set(name, size)
    return size
  }

  function of(set: SelectionSetNode): Size {
    const size: Size = { depth: 0, fields: 0, rootFields: 0, ownAliases: 0 }
    const names = new Map<string, number>()
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        const name = selection.alias?.value ?? selection.name.value
        const repeats = (names.get(name) ?? 0) + 1
        if (repeats > limits.documentRepeats) throw tooLarge(`selections of "${name}"`, limits.documentRepeats)
        names.set(name, repeats)
        const below = selection.selectionSet === undefined ? nothing : of(selection.selectionSet)
        size.depth = Math.max(size.depth, 1 + below.depth)
        size.fields += 1 + below.fields
        size.rootFields += 1
        size.ownAliases += (selection.alias === undefined ? 0 : 1) + below.ownAliases
      } else {
        const inline = selection.kind === Kind.INLINE_FRAGMENT
        const part = inline ? of(selection.selectionSet) : ofFragment(selection.name.value)
        size.depth = Math.max(size.depth, part.depth)
        size.fields += part.fields
        size.rootFields += part.rootFields
        if (inline) size.ownAliases += part.ownAliases
      }
    }
    return size
  }
  return of
}

function tooLarge(what: string, limit: number): AppError {
  return new AppError('QUERY_TOO_LARGE', `The document has more ${what} than the limit of ${limit}.`, {
    details: { limit },
  })
}

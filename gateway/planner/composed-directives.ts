/**
 * Directives for operations that subgraphs compose (`@composeDirective`). Apollo's API schema drops whatever belongs to a
 * linked feature, so that clients could not use them. Here such a feature's link is left out and its definitions stay.
 * They are addressed to the gateway: a supergraph does not tell which subgraphs know them, so no subgraph is sent them.
 * (Directives without a link are in every subgraph, and go there with what they stand on.)
 */
import {
  DirectiveLocation,
  Kind,
  visit,
  type ConstDirectiveNode,
  type ConstValueNode,
  type DirectiveDefinitionNode,
  type DocumentNode,
} from 'graphql'
import { argumentOf, textArgument } from './joins.ts'

export interface ComposedDirectives {
  /** The supergraph in which they are like any other directive. */
  readonly document: DocumentNode
  /** A client's document as the planner is to see it. */
  withoutThem(document: DocumentNode): DocumentNode
}

const inOperations: ReadonlySet<string> = new Set([
  DirectiveLocation.QUERY,
  DirectiveLocation.MUTATION,
  DirectiveLocation.SUBSCRIPTION,
  DirectiveLocation.FIELD,
  DirectiveLocation.FRAGMENT_DEFINITION,
  DirectiveLocation.FRAGMENT_SPREAD,
  DirectiveLocation.INLINE_FRAGMENT,
  DirectiveLocation.VARIABLE_DEFINITION,
])

export function offerComposedDirectives(supergraph: DocumentNode): ComposedDirectives {
  const definitions = supergraph.definitions.filter(
    (definition): definition is DirectiveDefinitionNode =>
      definition.kind === Kind.DIRECTIVE_DEFINITION &&
      definition.locations.some(({ value }) => inOperations.has(value)),
  )
  const composed = new Set<string>()
  const document = visit(supergraph, {
    SchemaDefinition(node) {
      const directives = node.directives?.filter((directive) => {
        const names = directive.name.value === 'link' ? namesOfFeature(directive) : undefined
        const own = definitions.filter(({ name }) => names?.(name.value) === true)
        for (const { name } of own) composed.add(name.value)
        return own.length === 0
      })
      return composed.size === 0 ? false : { ...node, directives: directives ?? [] }
    },
  })
  return {
    document: composed.size === 0 ? supergraph : document,
    withoutThem: (given) =>
      composed.size === 0
        ? given
        : visit(given, { Directive: ({ name }) => (composed.has(name.value) ? null : undefined) }),
  }
}

/** Which names a link brings in; undefined for Apollo's own features, and for those that say what they are needed for. */
function namesOfFeature(link: ConstDirectiveNode): ((name: string) => boolean) | undefined {
  const url = textArgument(link, 'url') ?? ''
  if (url.startsWith('https://specs.apollo.dev/') || argumentOf(link, 'for') !== undefined) return undefined
  const feature = textArgument(link, 'as') ?? nameIn(url)
  const imports = argumentOf(link, 'import')
  const imported = new Set(imports?.kind === Kind.LIST ? imports.values.map(importedAs) : [])
  return (name) => imported.has(`@${name}`) || name === feature || name.startsWith(`${feature}__`)
}

/** `https://example.com/access/v1.0`: `access`. */
function nameIn(url: string): string {
  const parts = url.split('/').filter((part) => part !== '')
  return parts.findLast((part) => !/^v\d/.test(part)) ?? ''
}

/** `"@access"`, or `{ name: "@access", as: "@ours" }`. */
function importedAs(value: ConstValueNode): string | undefined {
  if (value.kind !== Kind.OBJECT) return textOf(value)
  const given = (wanted: string): string | undefined =>
    textOf(value.fields.find(({ name }) => name.value === wanted)?.value)
  return given('as') ?? given('name')
}

function textOf(value: ConstValueNode | undefined): string | undefined {
  return value?.kind === Kind.STRING ? value.value : undefined
}

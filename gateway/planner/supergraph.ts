/**
 * A supergraph made ready for use: the schema clients see, the schema plans are executed against, and the planner.
 * Building one is the check that a supergraph is good; it throws, and nothing of it is kept.
 */
import { createHash } from 'node:crypto'
import { Supergraph, type Schema } from '@apollo/federation-internals'
import { QueryPlanner } from '@apollo/query-planner'
import type { GraphQLSchema } from 'graphql'

export interface PlannableSupergraph {
  /** SHA-256 of the text: equal for equal supergraphs. */
  readonly id: string
  readonly sdl: string
  /** What clients see. One object per supergraph: it says which supergraph a validated document belongs to. */
  readonly schema: GraphQLSchema
  /** The same in the planner's own model. */
  readonly apiSchema: Schema
  /** With everything inaccessible in it: representations may need types that no client sees. */
  readonly fullSchema: GraphQLSchema
  readonly planner: QueryPlanner
  readonly subgraphs: readonly { readonly name: string; readonly url: string }[]
}

/** @throws Error with the composition's own words when the text is no supergraph or needs what we cannot execute. */
export function buildSupergraph(sdl: string): PlannableSupergraph {
  const supergraph = Supergraph.build(sdl, { validateSupergraph: true })
  const apiSchema = supergraph.apiSchema()
  return {
    id: supergraphId(sdl),
    sdl,
    schema: apiSchema.toGraphQLJSSchema(),
    apiSchema,
    fullSchema: supergraph.schema.toGraphQLJSSchema(),
    // Fetches carry their selections in full: fragments would collide when several fetches leave as one operation.
    planner: new QueryPlanner(supergraph, { reuseQueryFragments: false }),
    subgraphs: supergraph.subgraphsMetadata().map(({ name, url }) => ({ name, url: url ?? '' })),
  }
}

export function supergraphId(sdl: string): string {
  return createHash('sha256').update(sdl).digest('hex')
}

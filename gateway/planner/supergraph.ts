/**
 * A supergraph made ready for use: the schema clients see, the schema plans are executed against, and the planner.
 * Building one is the check that a supergraph is good; it throws, and nothing of it is kept. The planner gets the
 * supergraph prepared so that its plans are right where, from the text as it is, they would not be.
 */
import { createHash } from 'node:crypto'
import {
  DEFAULT_SUPPORTED_SUPERGRAPH_FEATURES,
  Supergraph,
  type Operation,
  type Schema,
} from '@apollo/federation-internals'
import { QueryPlanner, type QueryPlan } from '@apollo/query-planner'
import { parse, type DocumentNode, type GraphQLSchema } from 'graphql'
import { type PublicMarks, readPublicMarks } from '../public-fields.ts'
import { separateChainedRequirements } from './chained-requirements.ts'
import { namesOnTheWay } from './client-names.ts'
import { collectVariablesOnce } from './collect-variables.ts'
import { offerComposedDirectives } from './composed-directives.ts'
import { separateConditionalRequirements } from './conditional-requirements.ts'
import { keepEntityTypes, readInterfaceObjects } from './interface-objects.ts'
import { separatePartialTypes, type PartialTypes } from './partial-types.ts'
import { separateRequiredArguments } from './required-arguments.ts'
import { dropUnresolvableKeys } from './resolvable-keys.ts'

export interface PlannableSupergraph {
  /** SHA-256 of the text: equal for equal supergraphs. */
  readonly id: string
  readonly sdl: string
  /** What clients see. One object per supergraph: it says which supergraph a validated document belongs to. */
  readonly schema: GraphQLSchema
  /** The same in the planner's own model, with what we added for it. */
  readonly plannedSchema: Schema
  /** With everything inaccessible in it: representations may need types that no client sees. */
  readonly fullSchema: GraphQLSchema
  /** A client's document without what is addressed to the gateway alone. */
  forPlanner(document: DocumentNode): DocumentNode
  plan(operation: Operation): QueryPlan
  readonly partialTypes: PartialTypes
  /** Interfaces that are objects to some subgraph; absent where there are none. */
  readonly interfaceObjects: ReadonlySet<string> | undefined
  /** Field names that plans may need on the way from one subgraph to another. */
  readonly namesOnTheWay: ReadonlySet<string>
  /** What everybody with the same rights gets the same answer from. */
  readonly publicMarks: PublicMarks
  readonly subgraphs: readonly { readonly name: string; readonly url: string }[]
}

/**
 * Plans that the planner compares for one operation. Of Apollo's 10,000 a query of 1,400 characters takes 5 s, of these
 * 0.1 s; what is left out are the ways with the most jumps between subgraphs.
 */
export const maxEvaluatedPlans = 200

/** What a supergraph may ask of whoever executes it: what Apollo's gateway takes, and arguments from a context. */
const supportedFeatures = new Set([...DEFAULT_SUPPORTED_SUPERGRAPH_FEATURES, 'https://specs.apollo.dev/context/v0.1'])

/** @throws Error with the composition's own words when the text is no supergraph or needs what we cannot execute. */
export function buildSupergraph(sdl: string): PlannableSupergraph {
  const parsed = parse(sdl, { noLocation: true })
  const directives = offerComposedDirectives(parsed)
  const given = Supergraph.build(directives.document, { supportedFeatures, validateSupergraph: true })
  const publicMarks = readPublicMarks(parsed)
  const chains = separateChainedRequirements(dropUnresolvableKeys(directives.document))
  const partialTypes = separatePartialTypes(chains.document)
  const { document, restore } = separateRequiredArguments(partialTypes.document)
  const interfaceObjects = readInterfaceObjects(parsed)
  const withTypes = keepEntityTypes(interfaceObjects)
  const withoutConditions = separateConditionalRequirements(parsed)
  const planned = Supergraph.build(document, { supportedFeatures, validateSupergraph: false })
  collectVariablesOnce()
  // Fetches carry their selections in full: fragments would collide when several fetches leave as one operation.
  const planner = new QueryPlanner(planned, { reuseQueryFragments: false, debug: { maxEvaluatedPlans } })
  return {
    id: supergraphId(sdl),
    sdl,
    schema: given.apiSchema().toGraphQLJSSchema(),
    plannedSchema: planned.apiSchema(),
    fullSchema: given.schema.toGraphQLJSSchema(),
    namesOnTheWay: namesOnTheWay(document),
    publicMarks,
    partialTypes,
    interfaceObjects:
      interfaceObjects.size === 0 ? undefined : new Set([...interfaceObjects.values()].flatMap((names) => [...names])),
    forPlanner: directives.withoutThem,
    plan(operation) {
      const plan = chains.restore(restore(planner.buildQueryPlan(operation)))
      return withoutConditions(withTypes(partialTypes.restore(plan)))
    },
    subgraphs: given.subgraphsMetadata().map(({ name, url }) => ({ name, url: url ?? '' })),
  }
}

function supergraphId(sdl: string): string {
  return createHash('sha256').update(sdl).digest('hex')
}

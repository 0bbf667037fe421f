import { Supergraph } from '@apollo/federation-internals'
import { findBreakingChanges, findDangerousChanges, type GraphQLSchema } from 'graphql'

export interface SchemaChanges {
  /** What makes a query that was valid invalid, or changes what it means. */
  readonly breaking: readonly string[]
  /** What a client may not be ready for, such as a new enum value. */
  readonly dangerous: readonly string[]
}

/** Compares what clients see of two supergraphs; what is inaccessible may change freely. */
export function schemaChanges(before: string, after: string): SchemaChanges {
  const [old, next] = [clientSchema(before), clientSchema(after)]
  return {
    breaking: findBreakingChanges(old, next).map(({ description }) => description),
    dangerous: findDangerousChanges(old, next).map(({ description }) => description),
  }
}

function clientSchema(supergraph: string): GraphQLSchema {
  return Supergraph.build(supergraph).apiSchema().toGraphQLJSSchema()
}

/**
 * In front of Apollo Server: a request whose document, form and headers it has let through before is answered by the
 * shorter pipeline of `known-operation.ts`, with the same plugins; all others are Apollo Server's. Which of the two it
 * was cannot be seen from outside, but for the time it takes.
 */
import type { ApolloServer, ApolloServerPlugin, HTTPGraphQLRequest, HTTPGraphQLResponse } from '@apollo/server'
import type { RequestContext } from '../../core/request.ts'
import { createKnownDocuments } from './known-documents.ts'
import { type AnswerKnown, createKnownOperations, type KnownOperationDeps } from './known-operation.ts'

export interface HttpFront {
  /** All that the server is to have, those given included. */
  readonly plugins: readonly ApolloServerPlugin<RequestContext>[]
  answer(
    apollo: ApolloServer<RequestContext>,
    request: HTTPGraphQLRequest,
    context: RequestContext,
  ): Promise<HTTPGraphQLResponse>
}

/** `formatError` and `stringifyResult` MUST be those of the server. */
export function createHttpFront(deps: Omit<KnownOperationDeps, 'apollo'>): HttpFront {
  const documents = createKnownDocuments()
  let answerKnown: AnswerKnown | undefined
  return {
    plugins: [documents.plugin, ...deps.plugins],
    async answer(apollo, request, context) {
      const known = documents.read(request)
      if (known !== undefined) {
        answerKnown ??= createKnownOperations({ ...deps, apollo })
        return answerKnown(known, request, context)
      }
      const response = await apollo.executeHTTPGraphQLRequest({
        httpGraphQLRequest: request,
        context: async () => context,
      })
      documents.observe(request, response)
      return response
    },
  }
}

import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { OperationTypeNode } from 'graphql'
import { createClient } from 'graphql-ws'
import { type Data, type Follow, query } from './follow.ts'
import { reconnecting, resuming } from './resuming.ts'

export function follow({ url, key, companyId, after, onRecord, onEnd }: Follow): () => void {
  const headers = { authorization: `Bearer ${key}` }
  const socket = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: headers,
    ...reconnecting,
  })
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(resuming(socket)),
      new HttpLink({ uri: url, headers }),
    ),
  })
  const subscription = client
    // Events are no state of the cache: each is handled once.
    .subscribe<Data>({ query: gql(query), variables: { companyId, after }, fetchPolicy: 'no-cache' })
    .subscribe({
      next: ({ data, error }) => {
        if (error !== undefined) onEnd(error)
        else if (data != null) onRecord(data.recordAppended.record.position, data.recordAppended.cursor)
      },
    })
  return () => {
    subscription.unsubscribe()
    client.stop()
    void socket.dispose()
  }
}

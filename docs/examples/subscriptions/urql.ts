import { Client, fetchExchange, subscriptionExchange } from '@urql/core'
import { createClient } from 'graphql-ws'
import { type Data, type Follow, query } from './follow.ts'
import { reconnecting, resuming } from './resuming.ts'

export function follow({ url, key, companyId, after, onRecord, onEnd }: Follow): () => void {
  const headers = { authorization: `Bearer ${key}` }
  const base = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: headers,
    ...reconnecting,
  })
  const socket = resuming(base)
  const client = new Client({
    url,
    fetchOptions: { headers },
    preferGetMethod: false,
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query: text = '', variables = {} }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query: text, variables: { ...variables } }, sink as never),
          }),
        }),
      }),
    ],
  })
  const { unsubscribe } = client.subscription<Data>(query, { companyId, after }).subscribe(({ data, error }) => {
    if (error !== undefined) onEnd(error)
    else if (data !== undefined) onRecord(data.recordAppended.record.position, data.recordAppended.cursor)
  })
  return () => {
    unsubscribe()
    void base.dispose()
  }
}

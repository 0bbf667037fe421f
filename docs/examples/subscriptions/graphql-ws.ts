import { createClient } from 'graphql-ws'
import { type Data, type Follow, query } from './follow.ts'
import { reconnecting, resuming } from './resuming.ts'

export function follow({ url, key, companyId, after, onRecord, onEnd }: Follow): () => void {
  const client = resuming(
    createClient({
      url: url.replace(/^http/, 'ws'),
      connectionParams: { authorization: `Bearer ${key}` },
      ...reconnecting,
    }),
  )
  client.subscribe<Data>(
    { query, variables: { companyId, after } },
    {
      next: ({ data }) => data && onRecord(data.recordAppended.record.position, data.recordAppended.cursor),
      error: onEnd,
      complete: () => onEnd('complete'),
    },
  )
  return () => void client.dispose()
}

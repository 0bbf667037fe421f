import { createClient } from 'graphql-sse'
import { type Data, type Follow, query } from './follow.ts'

export function follow({ url, key, companyId, after, onRecord, onEnd }: Follow): () => void {
  let cursor = after
  const client = createClient({
    url: `${url}/stream`,
    // Asked for at each attempt: so its own reconnects resume.
    headers: () => ({ authorization: `Bearer ${key}`, 'last-event-id': cursor }),
    retryAttempts: Number.POSITIVE_INFINITY,
  })
  client.subscribe<Data>(
    { query, variables: { companyId } },
    {
      next({ data, errors }) {
        if (data != null) onRecord(data.recordAppended.record.position, (cursor = data.recordAppended.cursor))
        // The stream of a server that stops is opened again by itself.
        else if (errors?.[0]?.extensions['code'] !== 'SHUTTING_DOWN') onEnd(errors)
      },
      error: onEnd,
      complete: () => undefined,
    },
  )
  return () => client.dispose()
}

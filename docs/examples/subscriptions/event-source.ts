import { EventSource } from 'eventsource'
import { type Data, type Follow, query } from './follow.ts'

/** A browser has `EventSource` itself. It sets no headers, so a ticket is asked for first. */
export async function follow({ url, key, companyId, after, onRecord, onEnd }: Follow): Promise<() => void> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ query: 'mutation { createStreamTicket { ticket } }' }),
  })
  const { data } = (await answer.json()) as { data: { createStreamTicket: { ticket: string } } }
  const address = new URLSearchParams({
    ticket: data.createStreamTicket.ticket,
    query,
    variables: JSON.stringify({ companyId, after }),
  })
  const source = new EventSource(`${url}/stream?${address.toString()}`)
  source.addEventListener('next', (event) => {
    const result = JSON.parse(event.data as string) as { data?: Data; errors?: { extensions: { code: string } }[] }
    if (result.data != null) onRecord(result.data.recordAppended.record.position, result.data.recordAppended.cursor)
    // It connects again by itself, also after SHUTTING_DOWN, and gives back the id of the last event: nothing else to do.
    else if (result.errors?.[0]?.extensions.code !== 'SHUTTING_DOWN') onEnd(result.errors)
  })
  source.addEventListener('complete', () => source.close())
  source.addEventListener('error', () => {
    // Closed for good: the answer was no event stream. The ticket is over after an hour without a connection.
    if (source.readyState === EventSource.CLOSED) onEnd('closed')
  })
  return () => source.close()
}

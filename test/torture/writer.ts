import { setTimeout as sleep } from 'node:timers/promises'
import { adminKey } from './product.ts'

const append = 'mutation ($input: AppendRecordsInput!) { appendRecords(input: $input) { records { position } } }'

/** Asks one of the processes; anything but data is an error. */
export async function ask(url: string, query: string, variables: object): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': adminKey },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(60_000),
  })
  const answer = (await response.json()) as { data?: unknown; errors?: unknown }
  if (answer.errors !== undefined || answer.data == null) throw new Error(JSON.stringify(answer.errors))
  return answer.data
}

/**
 * Appends to a company until the signal ends. What was answered by nothing or by an error is sent again under the same key,
 * as a client would: it may have been done. Answers how many records there must then be.
 */
export async function write(companyId: string, urls: () => readonly string[], signal: AbortSignal): Promise<number> {
  let written = 0
  while (!signal.aborted) {
    const size = 1 + Math.floor(Math.random() * 5)
    const records = Array.from({ length: size }, (_, index) => ({
      kind: 'order.placed',
      source: 'torture',
      stream: 'orders',
      data: { order: written + index },
      key: `${companyId}-${written + index}`,
    }))
    for (;;) {
      const all = urls()
      try {
        await ask(all[Math.floor(Math.random() * all.length)] ?? '', append, { input: { companyId, records } })
        break
      } catch {
        await sleep(100)
      }
    }
    written += size
    await sleep(20 + Math.random() * 80)
  }
  return written
}

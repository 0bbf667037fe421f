import type { FormattedExecutionResult } from 'graphql'
import type { Client, ClientOptions } from 'graphql-ws'

/**
 * Tries again for ever, also where the server cannot be reached at all: by itself graphql-ws gives up after five times, and
 * at once after an error that is no close code. Codes that no retry mends (4400, 4401, …) end it all the same.
 */
export const reconnecting: Pick<ClientOptions, 'retryAttempts' | 'shouldRetry' | 'retryWait'> = {
  retryAttempts: Number.POSITIVE_INFINITY,
  shouldRetry: () => true,
  // With jitter: clients that were cut off together should not come back together.
  retryWait: (tries) => new Promise((go) => setTimeout(go, Math.random() * Math.min(500 * 2 ** tries, 15_000))),
}

/**
 * A graphql-ws client whose own reconnects resume. By itself it subscribes anew with the variables it was first given, and
 * would repeat what came since; it reads them anew at each attempt, so it is enough to keep their `after` up to date.
 */
export function resuming(client: Client): Client {
  return {
    ...client,
    subscribe(payload, sink) {
      const variables: Record<string, unknown> = { ...payload.variables }
      return client.subscribe(
        { ...payload, variables },
        {
          ...sink,
          error: (reason) => sink.error(reason),
          complete: () => sink.complete(),
          next(result: FormattedExecutionResult<Record<string, { cursor?: string } | undefined>>) {
            sink.next(result as never)
            const [event] = Object.values(result.data ?? {})
            if (event?.cursor !== undefined) variables['after'] = event.cursor
          },
        },
      )
    },
  }
}

import { Agent, request } from 'undici'
import { isAppError } from '../core/errors.ts'
import { parseWebhookUrl, publicLookup } from '../webhooks/address-guard.ts'

/** How an attempt ended. `error` is a code for the delivery log. */
export type Outcome =
  | { kind: 'delivered'; status: number }
  /** 410: the receiver wants no more. */
  | { kind: 'gone'; status: number }
  | { kind: 'failed'; status: number | null; error: DeliveryError }

export type DeliveryError =
  | 'STATUS'
  | 'REDIRECT'
  | 'TIMEOUT'
  | 'CONNECTION_FAILED'
  | 'ADDRESS_NOT_PUBLIC'
  | 'URL_NOT_ALLOWED'
  | 'CANCELLED'

export interface WebhookSender extends AsyncDisposable {
  send(url: string, headers: Record<string, string>, body: string, signal: AbortSignal): Promise<Outcome>
}

/** Of an answer nothing is used but its status; more than this of it is not even read. */
const maxAnswerBytes = 64 * 1024

/**
 * Posts to addresses that companies choose. In production only to public ones over TLS: the connection is made to the very
 * address that was checked, redirects are not followed, no credentials of ours are sent, and time is bounded.
 */
export function createWebhookSender(options: {
  allowPrivate: boolean
  timeoutMs?: number
  /** Name resolution, for tests. */
  lookup?: Parameters<typeof publicLookup>[0]
}): WebhookSender {
  const { allowPrivate, timeoutMs = 15_000, lookup } = options
  const agent = new Agent({
    connect: { timeout: Math.min(timeoutMs, 5_000), ...(allowPrivate ? {} : { lookup: publicLookup(lookup) }) },
    connections: 8,
    pipelining: 1,
    keepAliveTimeout: 5_000,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxHeaderSize: 16_384,
  })
  return {
    async send(url, headers, body, signal) {
      const timeout = AbortSignal.timeout(timeoutMs)
      try {
        // Stored under other rules, perhaps: development's, or an older release's.
        const target = parseWebhookUrl(url, { allowPrivate })
        const answer = await request(target, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'Ledgerway-Webhooks/1', ...headers },
          body,
          dispatcher: agent,
          signal: AbortSignal.any([signal, timeout]),
        })
        await answer.body.dump({ limit: maxAnswerBytes, signal: timeout }).catch(() => undefined)
        const status = answer.statusCode
        if (status >= 200 && status < 300) return { kind: 'delivered', status }
        if (status === 410) return { kind: 'gone', status }
        return { kind: 'failed', status, error: status >= 300 && status < 400 ? 'REDIRECT' : 'STATUS' }
      } catch (error) {
        return { kind: 'failed', status: null, error: signal.aborted ? 'CANCELLED' : errorOf(error, timeout) }
      }
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy()
    },
  }
}

function errorOf(error: unknown, timeout: AbortSignal): DeliveryError {
  if (isAppError(error, 'BAD_USER_INPUT')) return 'URL_NOT_ALLOWED'
  const code = (error as { code?: unknown } | null)?.code
  if (code === 'EPRIVATE') return 'ADDRESS_NOT_PUBLIC'
  const timedOut = timeout.aborted || (typeof code === 'string' && code.endsWith('_TIMEOUT'))
  return timedOut ? 'TIMEOUT' : 'CONNECTION_FAILED'
}

/**
 * One POST to one subgraph: the text out, the text back. Plain `http:` goes over our own connections, `https:` over
 * undici's `dispatch`, whose handler gets the chunks as they come; `fetch` and `request` wrap them in streams, which
 * cost more than everything else about a small answer.
 */
import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { Pool } from 'undici'
import { AppError } from '../../core/errors.ts'
import { createHttp1Pool, requestHead } from './http1-pool.ts'

export interface WireRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

export interface WireAnswer {
  readonly status: number
  readonly text: string
}

export interface Wire extends AsyncDisposable {
  /** @throws AppError DEADLINE_EXCEEDED, CANCELLED, or SUBGRAPH_UNAVAILABLE when no whole answer came. */
  send(request: WireRequest): Promise<WireAnswer>
}

export interface WireOptions {
  readonly subgraph: string
  readonly url: string
  /** Connections to the subgraph, each with one request at a time. */
  readonly connections: number
  /** Answers longer than this are refused. */
  readonly answerBytesMax: number
}

/** What is left to the kind of connection: sends, calls one of the two once, and returns what cancels. */
interface Exchange extends AsyncDisposable {
  start(
    headers: Readonly<Record<string, string>>,
    body: string,
    onAnswer: (status: number, bytes: Buffer, encoding: string | undefined) => void,
    onError: (error: Error) => void,
  ): (reason: Error) => void
}

export function createWire(options: WireOptions): Wire {
  const { subgraph, answerBytesMax } = options
  const url = new URL(options.url)
  const exchange = url.protocol === 'http:' ? plainExchange(url, options) : undiciExchange(url, options)
  return {
    send: ({ headers, body, signal, timeoutMs }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(cancelled(signal))
        if (timeoutMs <= 0) return reject(deadlineExceeded(subgraph))
        function finish(settle: () => void): void {
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          settle()
        }
        function give(error: AppError): void {
          finish(() => reject(error))
          cancel(error)
        }
        const onAbort = (): void => give(cancelled(signal))
        const timer = setTimeout(() => give(deadlineExceeded(subgraph)), timeoutMs)
        signal.addEventListener('abort', onAbort, { once: true })
        const cancel = exchange.start(
          headers,
          body,
          (status, bytes, encoding) => {
            if (encoding === undefined || encoding === 'identity') {
              const text = bytes.toString('utf8')
              finish(() => resolve({ status, text }))
              return
            }
            decode(Buffer.from(bytes), encoding, answerBytesMax).then(
              (decoded) => finish(() => resolve({ status, text: decoded.toString('utf8') })),
              (error: unknown) => finish(() => reject(unavailable(subgraph, error))),
            )
          },
          (error) => finish(() => reject(unavailable(subgraph, error))),
        )
      }),
    [Symbol.asyncDispose]: () => exchange[Symbol.asyncDispose](),
  }
}

function plainExchange(url: URL, { connections, answerBytesMax }: WireOptions): Exchange {
  const pool = createHttp1Pool({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 80 : Number(url.port),
    connections,
    answerBytesMax,
    connectTimeoutMs: 5_000,
  })
  /** Headers that are the same object give the same text. */
  const heads = new WeakMap<object, string>()
  return {
    start(headers, body, onAnswer, onError) {
      const head = heads.get(headers) ?? requestHead(url.pathname + url.search, url.host, headers)
      heads.set(headers, head)
      return pool.send({
        head,
        body,
        onAnswer: (answer) => onAnswer(answer.status, answer.body, answer.contentEncoding),
        onError,
      })
    },
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  }
}

function undiciExchange(url: URL, { connections, answerBytesMax }: WireOptions): Exchange {
  const pool = new Pool(url.origin, { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
  const path = url.pathname + url.search
  return {
    start(headers, body, onAnswer, onError) {
      const chunks: Buffer[] = []
      let length = 0
      let status = 0
      let encoding: string | undefined
      let abort: ((reason: Error) => void) | undefined
      let cancelledBy: Error | undefined
      pool.dispatch(
        { path, method: 'POST', headers, body },
        {
          onRequestStart(controller) {
            abort = (reason) => controller.abort(reason)
            if (cancelledBy !== undefined) controller.abort(cancelledBy)
          },
          onResponseStart(_controller, code, responseHeaders) {
            status = code
            encoding = String(responseHeaders['content-encoding'] ?? 'identity').toLowerCase()
          },
          onResponseData(controller, chunk) {
            length += chunk.length
            if (length > answerBytesMax) controller.abort(new Error('the answer is longer than may be taken'))
            else chunks.push(chunk)
          },
          onResponseEnd: () => onAnswer(status, Buffer.concat(chunks, length), encoding),
          onResponseError: (_controller, error) => {
            if (cancelledBy === undefined) onError(error)
          },
        },
      )
      return (reason) => {
        cancelledBy = reason
        abort?.(reason)
      }
    },
    [Symbol.asyncDispose]: () => pool.close(),
  }
}

const decoders: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  br: promisify<Buffer, { maxOutputLength: number }, Buffer>(brotliDecompress),
  deflate: promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate),
}

async function decode(bytes: Buffer, encoding: string, maxOutputLength: number): Promise<Buffer> {
  const decoder = decoders[encoding.trim()]
  if (decoder === undefined) throw new Error(`unknown content encoding ${encoding}`)
  return decoder(bytes, { maxOutputLength })
}

export function unavailable(subgraph: string, cause?: unknown): AppError {
  return new AppError('SUBGRAPH_UNAVAILABLE', `The subgraph "${subgraph}" could not be reached.`, { cause })
}

function deadlineExceeded(subgraph: string): AppError {
  return new AppError('DEADLINE_EXCEEDED', `The subgraph "${subgraph}" did not answer in time.`)
}

function cancelled(signal: AbortSignal): AppError {
  return signal.reason instanceof AppError ? signal.reason : new AppError('CANCELLED', 'The request was cancelled.')
}

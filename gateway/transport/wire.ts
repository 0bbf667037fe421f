/**
 * One POST to one subgraph: the bytes out, the text back. Over undici's `dispatch`, whose handler gets the chunks as
 * they come; `fetch` and `request` wrap them in streams, which cost more than everything else about a small answer.
 */
import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import { promisify } from 'node:util'
import { Pool } from 'undici'
import { AppError } from '../../core/errors.ts'

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

export function createWire({ subgraph, url, connections, answerBytesMax }: WireOptions): Wire {
  const { origin, pathname, search } = new URL(url)
  const path = pathname + search
  const pool = new Pool(origin, {
    connections,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 30_000,
  })

  return {
    send: ({ headers, body, signal, timeoutMs }) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(cancelled(signal))
        if (timeoutMs <= 0) return reject(deadlineExceeded(subgraph))
        const chunks: Buffer[] = []
        let length = 0
        let status = 0
        let encoding: string | undefined
        let abort: ((error: Error) => void) | undefined
        let failure: AppError | undefined

        /** Ends the request; the handler's `onResponseError` then settles the promise. */
        function fail(error: AppError): void {
          failure ??= error
          if (abort === undefined) finish(() => reject(error))
          else abort(error)
        }
        const onAbort = (): void => fail(cancelled(signal))
        const timer = setTimeout(() => fail(deadlineExceeded(subgraph)), timeoutMs)
        signal.addEventListener('abort', onAbort, { once: true })
        function finish(settle: () => void): void {
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          settle()
        }

        pool.dispatch(
          { path, method: 'POST', headers, body },
          {
            onRequestStart(controller) {
              abort = (error) => controller.abort(error)
              if (failure !== undefined) controller.abort(failure)
            },
            onResponseStart(_controller, code, responseHeaders) {
              status = code
              const value = responseHeaders['content-encoding']
              encoding = Array.isArray(value) ? value.join() : value
            },
            onResponseData(controller, chunk) {
              length += chunk.length
              if (length > answerBytesMax) controller.abort(tooLong(subgraph))
              else chunks.push(chunk)
            },
            onResponseEnd() {
              const [first] = chunks
              const bytes = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, length)
              if (encoding === undefined || encoding === 'identity') {
                finish(() => resolve({ status, text: bytes.toString('utf8') }))
                return
              }
              decode(bytes, encoding, answerBytesMax).then(
                (decoded) => finish(() => resolve({ status, text: decoded.toString('utf8') })),
                (error: unknown) => finish(() => reject(unavailable(subgraph, error))),
              )
            },
            onResponseError(_controller, error) {
              finish(() => reject(failure ?? (error instanceof AppError ? error : unavailable(subgraph, error))))
            },
          },
        )
      }),
    async [Symbol.asyncDispose]() {
      await pool.close()
    },
  }
}

const decoders: Readonly<Record<string, (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>>> = {
  gzip: promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  br: promisify<Buffer, { maxOutputLength: number }, Buffer>(brotliDecompress),
  deflate: promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate),
}

async function decode(bytes: Buffer, encoding: string, maxOutputLength: number): Promise<Buffer> {
  const decoder = decoders[encoding.trim().toLowerCase()]
  if (decoder === undefined) throw new Error(`unknown content encoding ${encoding}`)
  return decoder(bytes, { maxOutputLength })
}

export function unavailable(subgraph: string, cause?: unknown): AppError {
  return new AppError('SUBGRAPH_UNAVAILABLE', `The subgraph "${subgraph}" could not be reached.`, { cause })
}

function tooLong(subgraph: string): AppError {
  return new AppError('SUBGRAPH_UNAVAILABLE', `The subgraph "${subgraph}" answered with more than may be taken.`)
}

function deadlineExceeded(subgraph: string): AppError {
  return new AppError('DEADLINE_EXCEEDED', `The subgraph "${subgraph}" did not answer in time.`)
}

function cancelled(signal: AbortSignal): AppError {
  return signal.reason instanceof AppError ? signal.reason : new AppError('CANCELLED', 'The request was cancelled.')
}

import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedCall {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface PlannedAnswer {
  status?: number
  headers?: Record<string, string>
  /** Never answers. */
  hang?: boolean
  /** Answers without end. */
  flood?: boolean
  /** Happens before it answers. */
  first?: () => Promise<unknown>
}

export interface HttpReceiver extends AsyncDisposable {
  readonly url: string
  readonly calls: ReceivedCall[]
  /** For the next calls, in order; then 204. */
  readonly answers: PlannedAnswer[]
}

/** A real HTTP server on a free port that keeps what it is sent and answers as told. */
export async function startReceiver(): Promise<HttpReceiver> {
  const calls: ReceivedCall[] = []
  const answers: PlannedAnswer[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    const answer = async (): Promise<void> => {
      calls.push({ path: request.url ?? '', headers: request.headers, body })
      const { status = 204, headers, hang = false, flood = false, first } = answers.shift() ?? {}
      if (hang) return
      await first?.()
      response.writeHead(status, headers)
      if (!flood) {
        response.end()
        return
      }
      const pour = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        if (!response.destroyed) response.once('drain', pour)
      }
      pour()
    }
    request.on('end', () => void answer())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    answers,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

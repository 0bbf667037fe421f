import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { constants, createSecureServer, type ServerHttp2Session } from 'node:http2'
import type { GatewayLimits } from '../limits.ts'

/** A certificate with its chain, and its private key, in PEM. */
export interface TlsKeyPair {
  readonly cert: string
  readonly key: string
}

export interface Listener {
  /** Speaks HTTP/1.1; with TLS also HTTP/2, as the client chooses (ALPN). WebSockets are always upgrades of HTTP/1.1. */
  readonly server: Server
  /** For new connections; those that are open keep the one they began with. @throws Error where it is no key pair */
  replaceKeyPair(tls: TlsKeyPair): void
  /** Tells HTTP/2 clients that their next request belongs elsewhere (GOAWAY); what is under way is answered. */
  sendAway(): void
  /** Ends the HTTP/2 connections that are still open. */
  cut(): void
}

/** Streams of one HTTP/2 connection at once: each may hold a body in memory. */
const streamsPerConnection = 256
/** An HTTP/2 connection on which nothing happens for so long is closed. Keep-alives of event streams are something. */
const idleSessionMs = 75_000

export function createListener(
  handler: RequestListener,
  options: { tls: TlsKeyPair | undefined; limits: Pick<GatewayLimits, 'requestMs'> },
): Listener {
  const { tls, limits } = options
  if (tls === undefined) {
    const server = createServer({ requestTimeout: limits.requestMs }, handler)
    const nothing = (): void => undefined
    return { server, replaceKeyPair: nothing, sendAway: nothing, cut: nothing }
  }
  const sessions = new Set<ServerHttp2Session>()
  let away = false
  const secure = createSecureServer({
    ...tls,
    allowHTTP1: true,
    minVersion: 'TLSv1.2',
    settings: { maxConcurrentStreams: streamsPerConnection },
  })
  secure.on('request', (request, response) => {
    // For HTTP/1.1 the server itself sees to it that requests do not take for ever to arrive.
    if (request.httpVersionMajor === 2 && !request.stream.endAfterHeaders) {
      const { stream } = request
      const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), limits.requestMs)
      const arrived = (): void => clearTimeout(timer)
      stream.once('end', arrived).once('close', arrived)
    }
    // HTTP/1.1 clients get node:http's own request and response; those of HTTP/2 have the same shape.
    handler(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  })
  secure.on('session', (session) => {
    sessions.add(session)
    session.setTimeout(idleSessionMs, () => session.close())
    session.once('close', () => sessions.delete(session))
    if (away) session.close()
  })
  Object.assign(secure, { requestTimeout: limits.requestMs })
  return {
    // The same events and methods, as far as they are used here.
    server: secure as unknown as Server,
    replaceKeyPair: (pair) => secure.setSecureContext({ ...pair, minVersion: 'TLSv1.2' }),
    sendAway() {
      away = true
      for (const session of sessions) session.close()
    },
    cut() {
      for (const session of sessions) session.destroy()
    },
  }
}

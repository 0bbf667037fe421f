/**
 * Connections to one HTTP/1.1 server, one request at a time on each. For plain `http:` inside a network: reading into
 * one reused buffer and writing head and body in one piece costs a third of what a general client does
 * (`docs/performance.md`), which for a gateway is most of a small answer's cost. `https:` goes over undici.
 */
import { connect, type Socket } from 'node:net'
import { createHttp1Parser, type Http1Answer } from './http1-parser.ts'

export interface Http1Request {
  /** From the request line to the empty line, without `content-length`; see `requestHead`. */
  readonly head: string
  readonly body: string
  readonly onAnswer: (answer: Http1Answer) => void
  readonly onError: (error: Error) => void
}

export interface Http1Pool extends AsyncDisposable {
  /** Returns what cancels the request; the connection it is on is then lost. Nothing is called after cancelling. */
  send(request: Http1Request): () => void
}

export interface Http1PoolOptions {
  readonly host: string
  readonly port: number
  readonly connections: number
  readonly answerBytesMax: number
  readonly connectTimeoutMs: number
}

interface Connection {
  readonly socket: Socket
  request: Http1Request | undefined
  /** Until when it may be used again, by `performance.now()`. */
  usableUntilMs: number
}

/** @throws Error for a header that could end early and start another. */
export function requestHead(path: string, host: string, headers: Readonly<Record<string, string>>): string {
  let head = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\n`
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[a-zA-Z0-9!#$%&'*+.^_`|~-]+$/.test(name) || !/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) {
      throw new Error(`The header "${name}" cannot be sent.`)
    }
    head += `${name}: ${value}\r\n`
  }
  return head
}

export function createHttp1Pool(options: Http1PoolOptions): Http1Pool {
  const idle: Connection[] = []
  const open = new Set<Connection>()
  const waiting = new Set<Http1Request>()
  let closing = false
  let whenEmpty: (() => void) | undefined

  function openConnection(): Connection {
    const parser = createHttp1Parser(options.answerBytesMax)
    const socket = connect({
      host: options.host,
      port: options.port,
      noDelay: true,
      keepAlive: true,
      onread: {
        buffer: Buffer.allocUnsafeSlow(64 * 1024),
        callback(length, buffer) {
          read(length, Buffer.from(buffer.buffer, buffer.byteOffset, length))
          return true
        },
      },
    })
    const connection: Connection = { socket, request: undefined, usableUntilMs: 0 }
    open.add(connection)
    socket.setTimeout(options.connectTimeoutMs, () => socket.destroy(new Error('connecting took too long')))
    socket.once('connect', () => socket.setTimeout(0))
    // The last request's error, if there is one, is told by `close`, which comes after every error.
    let failure: Error | undefined
    socket.on('error', (error) => (failure = error))
    socket.on('end', () => {
      if (connection.request === undefined) return
      try {
        settle(parser.end())
      } catch (error) {
        failure ??= asError(error)
      }
    })
    socket.on('close', () => {
      forget(connection)
      const { request } = connection
      connection.request = undefined
      request?.onError(failure ?? new Error('the connection was closed'))
      next()
    })

    function read(length: number, bytes: Buffer): void {
      if (length === 0) return
      if (connection.request === undefined) {
        // Bytes that nobody asked for: the next answer could be mistaken.
        socket.destroy()
        return
      }
      try {
        const answer = parser.push(bytes)
        if (answer !== undefined) settle(answer)
      } catch (error) {
        socket.destroy(asError(error))
      }
    }

    function settle(answer: Http1Answer): void {
      const { request } = connection
      connection.request = undefined
      if (answer.keepAliveMs === 0 || closing) {
        forget(connection)
        socket.end()
        socket.unref()
      } else {
        connection.usableUntilMs = performance.now() + answer.keepAliveMs
        idle.push(connection)
      }
      request?.onAnswer(answer)
      next()
    }
    return connection
  }

  function forget(connection: Connection): void {
    open.delete(connection)
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
    if (open.size === 0) whenEmpty?.()
  }

  /** The connection used last is the warmest; those that are too old are closed on the way. */
  function takeIdle(): Connection | undefined {
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (performance.now() < connection.usableUntilMs && !connection.socket.destroyed) return connection
      open.delete(connection)
      connection.socket.destroy()
    }
    return undefined
  }

  function next(): void {
    for (const request of waiting) {
      const connection = takeIdle() ?? (open.size < options.connections ? openConnection() : undefined)
      if (connection === undefined) return
      waiting.delete(request)
      write(connection, request)
    }
  }

  function write(connection: Connection, request: Http1Request): void {
    connection.request = request
    const { head, body } = request
    const length = Buffer.byteLength(body)
    const { socket } = connection
    const whole = `${head}content-length: ${length}\r\n\r\n`
    // Text of one byte a character, nearly all of it, needs no encoding. A head never does: its bytes are the client's.
    if (length === body.length) {
      socket.write(whole + body, 'latin1')
    } else {
      socket.cork()
      socket.write(whole, 'latin1')
      socket.write(body, 'utf8')
      socket.uncork()
    }
  }

  return {
    send(request) {
      waiting.add(request)
      next()
      return () => {
        if (waiting.delete(request)) return
        for (const connection of open) {
          if (connection.request !== request) continue
          connection.request = undefined
          connection.socket.destroy()
        }
      }
    },
    async [Symbol.asyncDispose]() {
      closing = true
      for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) connection.socket.destroy()
      if (open.size > 0) await new Promise<void>((resolve) => (whenEmpty = resolve))
    },
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

/**
 * Answers of an HTTP/1.1 server to POST requests (RFC 9112), from bytes as they come. Strict: whatever is not plainly
 * right throws, and the connection is given up, since a guess about where an answer ends is how answers get mixed up.
 */
export interface Http1Answer {
  readonly status: number
  /** Valid until the next push: it may lie in the buffer that was pushed. */
  readonly body: Buffer
  readonly contentEncoding: string | undefined
  /** Milliseconds the connection may be kept for the next request; 0 when it ends with this answer. */
  readonly keepAliveMs: number
}

export interface Http1Parser {
  /** Takes bytes (and copies what it keeps). The answer, once it is whole. @throws Error when it is no valid answer. */
  push(bytes: Buffer): Http1Answer | undefined
  /** The server ended the connection: the answer, if its end was to be told so. @throws Error when it is not whole. */
  end(): Http1Answer
  /** Whether anything of an answer came. */
  readonly started: boolean
}

interface Head {
  readonly status: number
  readonly contentEncoding: string | undefined
  readonly keepAliveMs: number
  /** Bytes of the body; or how its end is told. */
  readonly length: number | 'chunked' | 'until close'
}

const headBytesMax = 64 * 1024
const idleMsDefault = 4_000

export function createHttp1Parser(bodyBytesMax: number): Http1Parser {
  let pending: Buffer = Buffer.alloc(0)
  let head: Head | undefined
  let body: Buffer[] = []
  let bodyBytes = 0
  let started = false

  function finish(keepAliveMs: number): Http1Answer {
    if (head === undefined) throw new Error('no head')
    const [first] = body
    const whole = body.length === 1 && first !== undefined ? first : Buffer.concat(body, bodyBytes)
    const { status, contentEncoding } = head
    head = undefined
    body = []
    bodyBytes = 0
    started = false
    return { status, contentEncoding, body: whole, keepAliveMs }
  }

  function keep(bytes: Buffer): void {
    bodyBytes += bytes.length
    if (bodyBytes > bodyBytesMax) throw new Error('the answer is longer than may be taken')
    body.push(Buffer.from(bytes))
  }

  /** Takes as much of the body as is there; true when it is whole. */
  function takeBody(length: Head['length']): boolean {
    if (length === 'until close') {
      keep(pending)
      pending = pending.subarray(pending.length)
      return false
    }
    if (length === 'chunked') return takeChunks()
    if (length > bodyBytesMax) throw new Error('the answer is longer than may be taken')
    const missing = length - bodyBytes
    if (pending.length > missing) throw new Error('bytes after the answer')
    if (pending.length < length) keep(pending)
    else body.push(pending)
    const whole = pending.length === missing
    pending = pending.subarray(pending.length)
    return whole
  }

  function takeChunks(): boolean {
    for (;;) {
      const lineEnd = pending.indexOf('\r\n')
      if (lineEnd < 0) {
        if (pending.length > 1024) throw new Error('no chunk size')
        return false
      }
      const size = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(pending.toString('latin1', 0, lineEnd))?.[1]
      if (size === undefined) throw new Error('no chunk size')
      const length = Number.parseInt(size, 16)
      if (length > bodyBytesMax) throw new Error('the answer is longer than may be taken')
      if (length === 0) return takeTrailers(lineEnd)
      const start = lineEnd + 2
      if (pending.length < start + length + 2) return false
      if (pending.toString('latin1', start + length, start + length + 2) !== '\r\n') throw new Error('no chunk end')
      keep(pending.subarray(start, start + length))
      pending = pending.subarray(start + length + 2)
    }
  }

  /** Trailer fields end, as a head does, with an empty line; they are not looked at. */
  function takeTrailers(lineEnd: number): boolean {
    const end = pending.indexOf('\r\n\r\n', lineEnd)
    if (end < 0) {
      if (pending.length > headBytesMax) throw new Error('the trailer is too long')
      return false
    }
    if (pending.length > end + 4) throw new Error('bytes after the answer')
    pending = Buffer.alloc(0)
    return true
  }

  return {
    push(bytes) {
      started = true
      pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes])
      while (head === undefined) {
        const end = pending.indexOf('\r\n\r\n')
        if (end < 0) {
          if (pending.length > headBytesMax) throw new Error('the head is too long')
          pending = Buffer.from(pending)
          return undefined
        }
        const parsed = parseHead(pending.toString('latin1', 0, end))
        pending = pending.subarray(end + 4)
        // 100 Continue and 103 Early Hints come before the answer.
        if (parsed.status >= 200) head = parsed
        else if (parsed.status === 101) throw new Error('unasked change of protocol')
      }
      if (takeBody(head.length)) return finish(head.keepAliveMs)
      // What is left lies in the socket's own buffer, which the next read overwrites.
      pending = Buffer.from(pending)
      return undefined
    },
    end() {
      if (head?.length !== 'until close') throw new Error('the connection ended before the answer')
      return finish(0)
    },
    get started() {
      return started
    },
  }
}

function parseHead(text: string): Head {
  const [statusLine = '', ...lines] = text.split('\r\n')
  const status = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: |$)/.exec(statusLine)
  if (status === null) throw new Error('no status line')
  let length: number | undefined
  let chunked = false
  let close = status[1] === '0'
  let idleMs = idleMsDefault
  let contentEncoding: string | undefined
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 1) throw new Error('no header line')
    const value = line.slice(colon + 1).trim()
    switch (line.slice(0, colon).toLowerCase()) {
      case 'content-length':
        if (!/^[0-9]{1,15}$/.test(value) || (length !== undefined && length !== Number(value))) {
          throw new Error('contradicting length')
        }
        length = Number(value)
        break
      case 'transfer-encoding':
        if (value.toLowerCase() !== 'chunked' || chunked) throw new Error('unknown transfer encoding')
        chunked = true
        break
      case 'content-encoding':
        contentEncoding = value.toLowerCase()
        break
      case 'connection':
        if (/(?:^|,)\s*close\s*(?:,|$)/i.test(value)) close = true
        break
      case 'keep-alive': {
        // A second less than the server's promise: it may close while our next request is on its way.
        const seconds = /(?:^|[,\s])timeout=([0-9]{1,6})/i.exec(value)?.[1]
        if (seconds !== undefined) idleMs = Math.max(0, Number(seconds) * 1000 - 1000)
        break
      }
      default:
    }
  }
  if (chunked && length !== undefined) throw new Error('contradicting length')
  const code = Number(status[2])
  const bodiless = code === 204 || code === 304
  return {
    status: code,
    contentEncoding,
    keepAliveMs: close ? 0 : idleMs,
    length: bodiless ? 0 : chunked ? 'chunked' : (length ?? 'until close'),
  }
}

import { pipeline, Readable, type Transform } from 'node:stream'
import { promisify } from 'node:util'
import {
  brotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzip,
  zstdCompress,
} from 'node:zlib'
import type { FastifyInstance } from 'fastify'

/** Below this a packet is not saved. */
const leastBytes = 1_400

/** In order of preference: how much they save for the time they take, on JSON of some kilobytes. */
const encoders: Readonly<Record<string, (text: string) => Promise<Buffer>>> = {
  zstd: promisify<string, Buffer>((text, done) => zstdCompress(text, done)),
  br: promisify<string, Buffer>((text, done) =>
    brotliCompress(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }, done),
  ),
  gzip: promisify<string, Buffer>((text, done) => gzip(text, { level: 6 }, done)),
}

/** The same for answers that come piece by piece. */
const streamEncoders: Readonly<Record<string, () => Transform>> = {
  zstd: () => createZstdCompress(),
  br: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  gzip: () => createGzip({ level: 6 }),
}

/** Compresses what is sent as text to clients that ask for it, off the event loop. Event streams are not touched. */
export function addCompression(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    if (payload instanceof Readable && isJson(reply.getHeader('content-type'))) {
      const streamed = accepted(request.headers['accept-encoding'])
      const encoder = streamed === undefined ? undefined : streamEncoders[streamed]?.()
      if (encoder === undefined) return payload
      void reply.header('content-encoding', streamed)
      // Whichever of the two ends early ends the other; what is sent to the client ends with them.
      return pipeline(payload, encoder, () => undefined)
    }
    if (typeof payload !== 'string' || payload.length < leastBytes) return payload
    const encoding = accepted(request.headers['accept-encoding'])
    const encode = encoding === undefined ? undefined : encoders[encoding]
    if (encode === undefined) return payload
    const bytes = await encode(payload)
    void reply.header('content-encoding', encoding).removeHeader('content-length')
    return bytes
  })
}

const isJson = (contentType: unknown): boolean =>
  typeof contentType === 'string' && /^application\/(?:graphql-response\+)?json\b/.test(contentType)

/** The best of ours that the client takes; what it gives a `q` of zero it does not take. */
function accepted(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string') return undefined
  const taken = new Set(
    header.split(',').flatMap((part) => {
      const [name = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
      return parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter)) ? [] : [name]
    }),
  )
  return Object.keys(encoders).find((name) => taken.has(name))
}

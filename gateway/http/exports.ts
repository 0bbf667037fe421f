import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import type { Logger } from '../../core/log.ts'
import type { Principal } from '../../core/request.ts'
import type { Admission } from '../admission.ts'
import { type Authenticator, keyInHeaders, principalKey, principalOf } from '../credentials.ts'
import type { ErrorFormatter } from '../errors.ts'
import { requestIdOf } from '../request-scope.ts'
import { type ByteRange, byteRange } from './byte-range.ts'
import { sendError } from './send-error.ts'

/** A finished export; null where there is none, or none any more. */
export type OpenExport = (id: string) => Promise<{
  readonly size: number
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
  readonly private: boolean
  read(signal: AbortSignal, range?: ByteRange): AsyncIterable<Buffer>
} | null>

/** A client that takes nothing for so long is gone. */
const idleMs = 60_000

/**
 * `GET /exports/<id>`: the gzipped bundle, for those who may read the ledger now, whoever asked for it; with private parts in
 * it, only for those who may read these. A download that was cut off goes on with a range of bytes, by the same rights. The rights to the company are looked at before anything is looked up, so that a
 * refusal tells nothing. A key that is revoked ends its downloads; so does a server that stops, which would wait for hours.
 */
export function addExportRoute(
  app: FastifyInstance,
  deps: {
    open: OpenExport
    authenticator: Authenticator
    downloads: Admission
    errors: ErrorFormatter
    logger: Logger
  },
): { drain(): void } {
  const { open, authenticator, downloads, errors, logger } = deps
  const sending = new Set<ServerResponse>()

  app.get<{ Params: { id: string } }>('/exports/:id', { exposeHeadRoute: false }, async (request, reply) => {
    const requestId = requestIdOf(request.headers['ledgerway-request-id'])
    try {
      const principal = await principalOf(authenticator, keyInHeaders(request.headers))
      const companyId = companyOf(request.params.id)
      authorize(principal, 'ledger.read', companyId)
      const file = await open(request.params.id)
      if (file === null) throw new AppError('NOT_FOUND', 'There is no such export, or none any more: submit it again.')
      if (file.private) authorize(principal, 'private.read', companyId)
      const { bytes, sha256 } = file
      const etag = `"${sha256}"`
      void reply.header('accept-ranges', 'bytes').header('etag', etag)
      const range = byteRange(request.headers, { etag, bytes })
      if (range === 'unsatisfiable') {
        void reply.header('content-range', `bytes */${bytes}`)
        throw new AppError('BAD_REQUEST', `The export has ${bytes} bytes; the range asked for begins behind them.`, {
          details: { httpStatus: 416 },
        })
      }
      const part = range === 'whole' ? { start: 0, end: bytes } : range
      if (range !== 'whole') {
        void reply.code(206).header('content-range', `bytes ${part.start}-${part.end - 1}/${bytes}`)
      }
      const place = downloads.enter(principalKey(principal))
      const { raw } = reply
      const gone = new AbortController()
      const end = (): void => {
        place[Symbol.dispose]()
        sending.delete(raw)
        gone.abort()
      }
      sending.add(raw)
      raw.once('close', end)
      if (raw.destroyed) end()
      raw.setTimeout(idleMs, () => raw.destroy())
      const body = Readable.from(whileValid(file.read(gone.signal, part), principal), { objectMode: false })
      // What was promised by the length does not come: the client's end tells it that the file is incomplete.
      body.on('error', (error) => logger.warn({ requestId, companyId, error }, 'a download was cut off'))
      return await reply
        .header('content-type', 'application/gzip')
        .header('content-length', part.end - part.start)
        .header('content-disposition', `attachment; filename="${companyId}-${file.size}.ndjson.gz"`)
        .header('repr-digest', `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`)
        .header('cache-control', 'private, no-store')
        .send(body)
    } catch (error) {
      return sendError(reply, errors, error, requestId)
    }
  })

  async function* whileValid(chunks: AsyncIterable<Buffer>, principal: Principal): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      if (principal.kind === 'anonymous' || !authenticator.valid(principal.keyId)) {
        throw new AppError('UNAUTHENTICATED', 'The key was revoked.')
      }
      yield chunk
    }
  }

  return {
    drain() {
      for (const raw of sending) raw.destroy()
    },
  }
}

/** @throws AppError INVALID_ID */
function companyOf(id: string): CompanyId {
  return parseCompanyId(id.slice(0, Math.max(0, id.indexOf(':'))))
}

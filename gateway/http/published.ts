import type { FastifyInstance } from 'fastify'
import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId } from '../../core/ids.ts'
import type { ErrorFormatter } from '../errors.ts'
import { requestIdOf } from '../request-scope.ts'
import { sendError } from './send-error.ts'

/** A file of a published ledger; null where there is none or the ledger is not published. */
export type ReadPublishedFile = (
  companyId: CompanyId,
  path: string,
) => Promise<{ readonly body: Buffer; readonly contentType: string; readonly immutable: boolean } | null>

/**
 * `GET /ledger/<companyId>/…` in the layout of C2SP `tlog-tiles`, without a key: published ledgers are for everybody. One
 * that is not published is not told from one that does not exist.
 */
export function addPublishedRoutes(
  app: FastifyInstance,
  deps: { read: ReadPublishedFile; errors: ErrorFormatter },
): void {
  app.get<{ Params: { companyId: string; '*': string } }>('/ledger/:companyId/*', async (request, reply) => {
    try {
      const file = await deps.read(parseCompanyId(request.params.companyId), request.params['*'])
      if (file === null) throw new AppError('NOT_FOUND', 'There is no such file of a published ledger.')
      return await reply
        .header('content-type', file.contentType)
        .header('cache-control', file.immutable ? 'public, max-age=31536000, immutable' : 'public, max-age=1')
        .send(file.body)
    } catch (error) {
      return sendError(reply, deps.errors, error, requestIdOf(request.headers['ledgerway-request-id']))
    }
  })
}

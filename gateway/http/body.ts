import type { IncomingHttpHeaders } from 'node:http'
import { AppError } from '../../core/errors.ts'
import { parseJson, scanJsonText } from '../../core/json/scan.ts'
import type { GatewayLimits } from '../limits.ts'

/**
 * A request's JSON, scanned as it came: parsing would drop keys that come twice and round numbers before anyone could see.
 * @throws AppError JSON_*, PAYLOAD_TOO_LARGE, BAD_REQUEST
 */
export function readBody(headers: IncomingHttpHeaders, body: unknown, limits: GatewayLimits): unknown {
  const [essence = '', ...parameters] = (headers['content-type'] ?? '').split(';')
  if (essence.trim().toLowerCase() !== 'application/json') {
    throw unsupported('The body must be JSON: send "content-type: application/json".')
  }
  if (parameters.some((parameter) => /^\s*charset\s*=\s*(?!"?utf-?8"?\s*$)/i.test(parameter))) {
    throw unsupported('JSON is UTF-8: send no other charset.')
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw unsupported('The body must not be compressed: send no content-encoding.')
  }
  if (!Buffer.isBuffer(body) || body.length === 0) throw new AppError('BAD_REQUEST', 'The body is empty.')
  return parseJson(body, scanLimits(limits))
}

function unsupported(message: string): AppError {
  return new AppError('BAD_REQUEST', message, { details: { httpStatus: 415 } })
}

/** The same for `variables` and `extensions` in an address. @throws AppError JSON_* */
export function checkSearch(search: string, limits: GatewayLimits): void {
  const parameters = new URLSearchParams(search)
  for (const name of ['variables', 'extensions']) {
    for (const text of parameters.getAll(name)) scanJsonText(text, scanLimits(limits))
  }
}

export function scanLimits(limits: GatewayLimits): { maxBytes: number; maxDepth: number } {
  return { maxBytes: limits.bodyBytes, maxDepth: limits.jsonDepth }
}

/** What a client asks for, whichever way it came. */
export interface OperationRequest {
  readonly query: string
  readonly operationName?: string
  readonly variables?: Readonly<Record<string, unknown>>
}

/** @throws AppError BAD_REQUEST */
export function parseOperation(body: unknown): OperationRequest {
  if (!isRecord(body)) throw new AppError('BAD_REQUEST', 'The body must be a JSON object with a "query".')
  const { query, operationName, variables } = body
  if (typeof query !== 'string' || query === '') throw new AppError('BAD_REQUEST', '"query" must be a text.')
  if (operationName != null && typeof operationName !== 'string') {
    throw new AppError('BAD_REQUEST', '"operationName" must be a text.')
  }
  if (variables != null && !isRecord(variables)) throw new AppError('BAD_REQUEST', '"variables" must be an object.')
  return {
    query,
    ...(operationName == null ? {} : { operationName }),
    ...(variables == null ? {} : { variables }),
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

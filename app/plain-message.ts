import { type AppError, isAppError } from '../core/errors.ts'

/** What a person at a terminal is told: in words where the mistake is theirs, with the stack where it is ours. */
export function plainMessage(error: unknown): string {
  if (isAppError(error)) return serverReason(error) ?? error.message
  // What went wrong first says why; what went wrong in clearing up after it says nothing.
  if (error instanceof SuppressedError) return plainMessage(error.suppressed)
  if (!(error instanceof Error)) return String(error)
  // What the operating system refuses (a port in use, a folder for a file) and what parseArgs does not know.
  return 'code' in error ? error.message : (error.stack ?? error.message)
}

/** A wrong password, an unknown database, a closed port: what a server or the system says of it holds no secret. */
function serverReason(error: AppError): string | undefined {
  if (error.code !== 'CATALOG_UNAVAILABLE' && error.code !== 'SHARD_UNAVAILABLE') return undefined
  const { cause } = error
  if (isAppError(cause)) return serverReason(cause)
  return cause instanceof Error && 'code' in cause ? `${error.message.replace(/\.$/, '')}: ${cause.message}` : undefined
}

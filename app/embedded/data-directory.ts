import { AppError, isAppError } from '../../core/errors.ts'

/** What the file system answers when the directory, or the disk, is not as a server needs it. */
const refusals = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'EIO'])

/** Turns a refusal of the file system into words for the operator, and lets every other error pass as it is. */
export function dataDirectoryError(dataDir: string, error: unknown): unknown {
  if (isAppError(error) || !(error instanceof Error)) return error
  if (!('code' in error) || !refusals.has(String(error.code))) return error
  return cannotUse(dataDir, error)
}

export function cannotUse(dataDir: string, cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new AppError('CONFIG_INVALID', `The data directory ${dataDir} cannot be used: ${reason}`, { cause })
}

import { mkdirSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { AppError, isAppError } from '../../core/errors.ts'

export function clustersDirectory(dataDir: string): string {
  return join(dataDir, 'postgres')
}

/** What the file system answers when the directory, or the disk, is not as a server needs it. */
const refusals = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOTDIR', 'EISDIR', 'EEXIST', 'EIO'])

/** Turns a refusal of the file system into words for the operator, and lets every other error pass as it is. */
export function dataDirectoryError(dataDir: string, error: unknown, isFull = diskIsFull): unknown {
  if (isAppError(error) || !(error instanceof Error)) return error
  // What a server that ran out of space says of it depends on what it was doing.
  if (isFull(dataDir)) return cannotUse(dataDir, new Error(`its disk is full (${error.message})`, { cause: error }))
  if (!('code' in error) || !refusals.has(String(error.code))) return error
  return cannotUse(dataDir, error)
}

const leastBytes = 16 * 1024 * 1024

function diskIsFull(directory: string): boolean {
  try {
    const { blocks, bavail, bsize } = statfsSync(directory)
    // Some file systems do not count.
    return blocks > 0 && bavail * bsize < leastBytes
  } catch {
    return false
  }
}

export function cannotUse(dataDir: string, cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new AppError('CONFIG_INVALID', `The data directory ${dataDir} cannot be used: ${reason}`, { cause })
}

/**
 * The directory with its parents. Node's own recursive mkdir never ends where the parent is there and yet nothing can be
 * made in it (`/proc`), so each is made by itself. @throws AppError CONFIG_INVALID
 */
export function makeDirectory(directory: string, mode = 0o777): void {
  try {
    makeWithParents(directory, mode)
  } catch (cause) {
    throw cannotUse(directory, cause)
  }
}

function makeWithParents(directory: string, mode: number): void {
  const parent = dirname(directory)
  if (parent !== directory && !isThere(parent)) makeWithParents(parent, mode)
  try {
    mkdirSync(directory, { mode })
  } catch (error) {
    if (!isThere(directory)) throw error
  }
}

function isThere(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false
}

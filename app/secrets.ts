import { randomBytes, randomUUID } from 'node:crypto'
import { link, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../core/errors.ts'
import { makeDirectory } from './embedded/data-directory.ts'

/**
 * One line of secret text: from configuration, else from `<name>.key` in the directory, made there at first start with mode
 * 0600. Several processes may start at once: the finished file is linked into place, and the loser reads the winner's.
 */
export async function storedSecret(
  name: string,
  configured: string | undefined,
  directory: string,
  make: () => string,
): Promise<string> {
  if (configured !== undefined) return configured
  const file = fileOf(name, directory)
  const known = await readIfThere(file)
  if (known !== undefined) return known
  makeDirectory(directory, 0o700)
  const draft = `${file}.${randomUUID()}`
  await writeFile(draft, `${make()}\n`, { mode: 0o600, flag: 'wx' })
  try {
    await link(draft, file)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  } finally {
    await unlink(draft)
  }
  return (await readFile(file, 'utf8')).trim()
}

/** That of the configuration or of the directory; undefined where there is none. @throws AppError CONFIG_INVALID */
export async function findWrappingKey(configured: string | undefined, directory: string): Promise<Buffer | undefined> {
  const text = configured ?? (await readIfThere(fileOf(wrapping, directory)))
  return text === undefined ? undefined : wrappingKeyBytes(text)
}

/** The same; where there is none, it is made. @throws AppError CONFIG_INVALID */
export async function openWrappingKey(configured: string | undefined, directory: string): Promise<Buffer> {
  return wrappingKeyBytes(await storedSecret(wrapping, configured, directory, newWrappingKey))
}

const wrapping = 'wrapping'
const newWrappingKey = (): string => randomBytes(32).toString('base64')

function wrappingKeyBytes(text: string): Buffer {
  const key = Buffer.from(text, 'base64')
  if (key.length !== 32 || key.toString('base64') !== text) {
    throw new AppError(
      'CONFIG_INVALID',
      'WRAPPING_KEY: must be 32 bytes in base64, as "openssl rand -base64 32" writes.',
    )
  }
  return key
}

const fileOf = (name: string, directory: string): string => join(directory, `${name}.key`)

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

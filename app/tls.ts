import { readFile, stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { AppError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { TlsKeyPair } from '../gateway/http/listener.ts'

export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** @throws AppError CONFIG_INVALID, which names the variables and shows nothing of the files */
export async function readKeyPair({ certFile, keyFile }: TlsFiles): Promise<TlsKeyPair> {
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]).catch(
    (cause: unknown) => {
      throw new AppError('CONFIG_INVALID', 'TLS_CERT, TLS_KEY: the files cannot be read.', { cause })
    },
  )
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    throw new AppError('CONFIG_INVALID', 'TLS_CERT, TLS_KEY: not a certificate and its private key in PEM.', { cause })
  }
  return { cert, key }
}

/** Takes a renewed certificate into use: looks at the files once a minute. A pair that is half written is read again then. */
export function followKeyPair(deps: {
  files: TlsFiles
  replace: (pair: TlsKeyPair) => void
  logger: Logger
  everyMs?: number
}): Disposable {
  const { files, replace, logger, everyMs = 60_000 } = deps
  const changedAt = async (): Promise<string> => {
    const found = await Promise.all([stat(files.certFile), stat(files.keyFile)])
    return found.map(({ mtimeMs, ino }) => `${ino}:${mtimeMs}`).join()
  }
  let taken: string | undefined
  let looking = false
  async function look(): Promise<void> {
    if (looking) return
    looking = true
    try {
      const now = await changedAt()
      if (taken !== undefined && now !== taken) replace(await readKeyPair(files))
      taken = now
    } catch (error) {
      logger.warn({ error }, 'a renewed certificate cannot be read yet; the last one goes on')
    } finally {
      looking = false
    }
  }
  void look()
  const timer = setInterval(() => void look(), everyMs)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

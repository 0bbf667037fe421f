import { existsSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import { parseShardId } from '../../core/ids.ts'
import { pause } from '../../core/waker.ts'
import { cannotUse, clustersDirectory, makeDirectory } from './data-directory.ts'
import { processStart } from './process-identity.ts'

/** What the CLI and processes with other roles need to reach the servers of a running product. Holds credentials. */
const runInfo = z.object({
  /** The GraphQL endpoint; absent where the gateway is not among the roles, and until it listens. */
  url: z.string().optional(),
  roles: z.array(z.string()),
  shards: z.array(
    z.object({
      name: z.string().transform(parseShardId),
      primaryUrl: z.string(),
      replicaUrls: z.array(z.string()),
    }),
  ),
  catalogUrl: z.string(),
  jobsUrl: z.string().optional(),
  /** Null: solo mode. */
  redisUrl: z.string().nullable(),
})

const runFile = runInfo.extend({
  pid: z.int(),
  /** With the pid it names one process, since pids are used again. */
  processStart: z.string(),
  startedAt: z.string(),
})

export type RunInfo = z.input<typeof runInfo>
export type RunFile = z.output<typeof runFile>

export interface DataDirectoryClaim extends AsyncDisposable {
  /** Writes `run.json`, mode 0600; again when something has changed. */
  publish(info: RunInfo): Promise<void>
}

/** As `tryClaim`. @throws AppError CONFIG_INVALID if another process holds it, or it cannot be used */
export async function claimDataDirectory(dataDir: string): Promise<DataDirectoryClaim> {
  const claim = await tryClaim(dataDir)
  if (claim !== undefined) return claim
  const owner = await readRunFile(dataDir)
  throw new AppError(
    'CONFIG_INVALID',
    `Ledgerway already runs on ${dataDir}${owner === undefined ? '' : ` (process ${owner.pid}${owner.url === undefined ? '' : `, ${owner.url}`})`}. Stop it first, or set another DATA_DIR.`,
  )
}

/**
 * For who works beside a running product, or alone: what runs there, or the directory itself where nothing does. A process
 * that holds it and has not yet said where its servers are (it is starting, or a command at work) is waited for.
 * @throws AppError CONFIG_INVALID if that takes longer than `patienceMs`, or the directory cannot be used
 */
export async function joinOrClaim(
  dataDir: string,
  options: { signal: AbortSignal; onWaiting?: () => void; patienceMs?: number },
): Promise<{ running: RunFile } | { claim: DataDirectoryClaim }> {
  const { signal, onWaiting, patienceMs = 60_000 } = options
  const until = performance.now() + patienceMs
  for (let attempt = 1; ; attempt++) {
    const running = await readRunFile(dataDir)
    if (running !== undefined) return { running }
    const claim = await tryClaim(dataDir)
    if (claim !== undefined) return { claim }
    if (performance.now() >= until) {
      throw new AppError(
        'CONFIG_INVALID',
        `Another process of Ledgerway uses ${dataDir} and is not ready: it is starting, or a command at work. Try again when it is ready or has ended.`,
      )
    }
    if (attempt === 1) onWaiting?.()
    await pause(waitMs, signal)
    signal.throwIfAborted()
  }
}

const waitMs = 100

/**
 * Makes the data directory this process's own until disposed; undefined where another process has it. The lock is the
 * kernel's, taken by SQLite on a file of no content: it ends with the process however that dies, so there is no stale one
 * to judge, and nobody can slip in between judging and taking. @throws AppError CONFIG_INVALID if it cannot be used
 */
async function tryClaim(dataDir: string): Promise<DataDirectoryClaim | undefined> {
  const file = join(dataDir, 'run.json')
  const lock = openLock(dataDir)
  try {
    lock.exec('begin exclusive')
  } catch (cause) {
    lock.close()
    if (isBusy(cause)) return undefined
    throw cannotUse(dataDir, cause)
  }
  await rm(file, { force: true }) // a dead process's
  return {
    async publish(info) {
      const content: z.input<typeof runFile> = {
        pid: process.pid,
        processStart: processStart(process.pid) ?? '',
        startedAt: new Date().toISOString(),
        ...info,
      }
      await writeFile(`${file}.new`, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 })
      await rename(`${file}.new`, file)
    },
    async [Symbol.asyncDispose]() {
      await rm(file, { force: true })
      lock.close()
    },
  }
}

/** The running owner's file, or undefined if there is none, or its process has ended. */
export async function readRunFile(dataDir: string): Promise<RunFile | undefined> {
  const text = await readFile(join(dataDir, 'run.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const parsed = runFile.safeParse(parseJson(text))
  if (!parsed.success) return undefined
  return processStart(parsed.data.pid) === parsed.data.processStart ? parsed.data : undefined
}

/** Whether a product was ever started on it, or is just being. */
export function isDataDirectory(dataDir: string): boolean {
  // The lock comes first; a directory that was put back from a backup may lack it.
  return existsSync(lockFile(dataDir)) || existsSync(clustersDirectory(dataDir))
}

function lockFile(dataDir: string): string {
  return join(dataDir, 'run.lock')
}

function openLock(dataDir: string): DatabaseSync {
  makeDirectory(dataDir)
  try {
    return new DatabaseSync(lockFile(dataDir), { timeout: 0 })
  } catch (cause) {
    throw cannotUse(dataDir, cause)
  }
}

/** SQLITE_BUSY */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

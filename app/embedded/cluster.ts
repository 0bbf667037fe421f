import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { ServerAccount } from './account.ts'
import type { PostgresBinaries } from './binaries.ts'
import { pgHbaConf, postgresqlConf } from './cluster-settings.ts'
import { freePort } from './free-port.ts'
import { fromInside } from './from-inside.ts'
import { type GuardedProcess, spawnGuarded } from './guard.ts'
import { reapOrphan } from './reap.ts'
import { type SupervisedServer, supervise } from './supervise.ts'

export const superuser = 'postgres'

export interface ClusterOptions {
  readonly name: string
  /** The folder that holds the cluster's folder and its log. */
  readonly parent: string
  readonly binaries: PostgresBinaries
  readonly account: ServerAccount | undefined
  readonly superuserPassword: string
  readonly preferredPort: number | undefined
  readonly maxConnections: number
  readonly settings?: Readonly<Record<string, string>>
  readonly logger: Logger
  /** For a replica: brings the data directory into being, or into order, before every launch. */
  readonly replication?: {
    readonly primaryConnection: string
    readonly slot: string
    prepare(directory: string): Promise<void>
  }
}

export interface Cluster extends SupervisedServer {
  readonly name: string
  /** The data directory, links resolved. */
  readonly directory: string
  /** The same for the life of the cluster, through restarts. */
  readonly port: number
}

const startTimeoutMs = 120_000
const portAttempts = 5

/** Starts one Postgres, made first if it does not exist, and keeps it alive. @throws AppError CONFIG_INVALID */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const directory = join(realpathSync(options.parent), options.name)
  if (options.replication === undefined && !existsSync(directory)) await createCluster(options, directory)

  // What an earlier run left behind still holds the port that is preferred.
  await reapOrphan(directory, join(directory, 'postmaster.pid'), options.logger)
  let port = await freePort(options.preferredPort)
  const launch = async (): Promise<GuardedProcess> => {
    await options.replication?.prepare(directory)
    checkVersion(options, directory)
    await writeConfiguration(options, directory, port)
    await reapOrphan(directory, join(directory, 'postmaster.pid'), options.logger)
    const server = spawnGuarded({
      command: options.binaries.postgres,
      args: ['-D', fromInside(directory)],
      cwd: directory,
      account: options.account,
      logFile: logFileOf(options),
    })
    await untilReady(server, options, directory)
    return server
  }
  const firstLaunch = async (): Promise<GuardedProcess> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await launch()
      } catch (error) {
        if (attempt === portAttempts || !(error instanceof PortTaken)) throw error
        port = await freePort() // between our asking and its binding, another process took it
      }
    }
  }
  let first = true
  const server = await supervise({
    name: options.name,
    launch: () => {
      const run = first ? firstLaunch : launch
      first = false
      return run()
    },
    logger: options.logger,
  })
  return {
    name: options.name,
    directory,
    port,
    running: () => server.running(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** Makes an empty folder that belongs to the servers' account. */
export function makeServerDirectory(directory: string, account: ServerAccount | undefined): void {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { mode: 0o700 })
  if (account !== undefined) chownSync(directory, account.uid, account.gid)
}

/** The cluster appears under its name only when initdb has finished and synced: an interrupted first start leaves none. */
async function createCluster(options: ClusterOptions, directory: string): Promise<void> {
  const fresh = `${directory}.new`
  const passwordFile = `${directory}.password`
  makeServerDirectory(fresh, options.account)
  await writeFor(options.account, passwordFile, options.superuserPassword)
  try {
    const initdb = spawnGuarded({
      command: options.binaries.initdb,
      args: [
        `--pgdata=${fromInside(fresh)}`,
        `--username=${superuser}`,
        '--auth=scram-sha-256',
        // Not path.join, which would take '..' for the folder above a link's name, not above where it leads.
        `--pwfile=${fromInside(fresh)}/../${options.name}.password`,
        // --locale=C alone would mean SQL_ASCII, and full-text search would lose every letter beyond it.
        '--encoding=UTF8',
        '--locale=C',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--set=scram_iterations=128',
        '--set=io_method=sync',
      ],
      cwd: fresh,
      account: options.account,
      logFile: logFileOf(options),
    })
    await initdb.exited
    if (!existsSync(join(fresh, 'global', 'pg_control'))) {
      throw startFailure(options, initdb.logTail())
    }
    renameSync(fresh, directory)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

async function writeConfiguration(options: ClusterOptions, directory: string, port: number): Promise<void> {
  const conf = postgresqlConf({
    port,
    maxConnections: options.maxConnections,
    ...(options.replication && { replication: options.replication }),
    ...(options.settings && { extra: options.settings }),
  })
  await Promise.all([
    writeFor(options.account, join(directory, 'postgresql.conf'), conf),
    writeFor(options.account, join(directory, 'pg_hba.conf'), pgHbaConf),
  ])
}

/** A file that only the servers' account reads: it may hold a password. */
export async function writeFor(account: ServerAccount | undefined, file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600 })
  chmodSync(file, 0o600)
  if (account !== undefined) chownSync(file, account.uid, account.gid)
}

function checkVersion(options: ClusterOptions, directory: string): void {
  const found = readFileSync(join(directory, 'PG_VERSION'), 'utf8').trim()
  if (found === options.binaries.majorVersion) return
  throw new AppError(
    'CONFIG_INVALID',
    `The data of ${options.name} is of Postgres ${found}, and this is Postgres ${options.binaries.majorVersion}. Start the version that wrote it, or restore a backup (docs/operations.md).`,
  )
}

/** Line 8 of postmaster.pid says `ready` or `standby` once connections are accepted. */
async function untilReady(server: GuardedProcess, options: ClusterOptions, directory: string): Promise<void> {
  const giveUp = performance.now() + startTimeoutMs
  while (performance.now() < giveUp) {
    const pidFile = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '')
    if (/^(ready|standby)/.test(pidFile.split('\n')[7] ?? '')) return
    if (server.hasExited()) {
      const tail = server.logTail()
      if (/could not bind|could not create any TCP\/IP sockets/.test(tail)) throw new PortTaken(tail)
      throw startFailure(options, tail)
    }
    await sleep(10)
  }
  await server.stop()
  throw startFailure(options, `not ready after ${startTimeoutMs / 1_000} s`)
}

class PortTaken extends Error {}

function startFailure(options: ClusterOptions, reason: string): AppError {
  return new AppError(
    'CONFIG_INVALID',
    `The Postgres of ${options.name} did not start. Its log (${logFileOf(options)}) ends with:\n${reason}`,
  )
}

function logFileOf(options: ClusterOptions): string {
  return join(options.parent, `${options.name}.log`)
}

import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs'
import type { ServerAccount } from './account.ts'

/**
 * Runs the command and waits for it, while a second shell blocks on standard input, a pipe whose other end only the
 * parent holds. The kernel closes that end however the parent dies, kill -9 too, and the command is then interrupted,
 * which Postgres and Redis take as "disconnect everybody and shut down cleanly".
 */
const script = `
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
( read -r _ <&3; kill -INT $server ) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $server
code=$?
kill $watcher 2>/dev/null
exit $code
`

const largestLogBytes = 10 * 1024 * 1024
const defaultShutdownMs = 30_000

export interface GuardedProcess {
  /** Settles when the server has ended, whoever ended it; never rejects. */
  readonly exited: Promise<void>
  /** Whether `exited` has settled. */
  hasExited(): boolean
  /** Asks for a clean shutdown and waits for it; one that takes too long is cut short, which both servers recover from. */
  stop(): Promise<void>
  /** The last lines it wrote, for an error message. */
  logTail(): string
}

/**
 * Starts a server that cannot outlive this process. `cwd` is entered before the account is changed, so the account needs
 * no right to reach it by name.
 */
export function spawnGuarded(options: {
  command: string
  args: readonly string[]
  cwd: string
  account: ServerAccount | undefined
  logFile: string
  /** How long a clean shutdown may take. */
  shutdownMs?: number
}): GuardedProcess {
  keepLogSmall(options.logFile)
  const log = openSync(options.logFile, 'a', 0o600)
  const logStart = statSync(options.logFile).size
  const child = spawn('/bin/sh', ['-c', script, 'guard', options.command, ...options.args], {
    ...options.account,
    cwd: options.cwd,
    // Nothing of our environment: it may hold keys. A group of its own: Ctrl-C is for us, we stop the servers in order.
    env: { TZ: 'UTC', LC_ALL: 'C', PATH: '/usr/local/bin:/usr/bin:/bin' },
    detached: true,
    stdio: ['pipe', log, log],
  })
  closeSync(log)
  let ended = false
  const exited = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true
      resolve()
    }
    child.once('exit', end)
    child.once('error', end)
  })
  child.stdin?.on('error', () => {}) // the server ended first: `exited` tells
  return {
    exited,
    hasExited: () => ended,
    async stop() {
      child.stdin?.end()
      const tooLong = setTimeout(() => killGroup(child.pid), options.shutdownMs ?? defaultShutdownMs)
      await exited
      clearTimeout(tooLong)
    },
    logTail() {
      const text = readFileSync(options.logFile).subarray(logStart).toString('utf8')
      return text.trim().split('\n').slice(-6).join('\n')
    },
  }
}

/** The guard and its server; Postgres's backends see their postmaster end and follow. */
function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch {
    // ended in between
  }
}

/** One former log is kept, so that a server that complains for years fills no disk. */
function keepLogSmall(file: string): void {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (size > largestLogBytes) renameSync(file, `${file}.1`)
}

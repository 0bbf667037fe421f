import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import postgres, { type Sql } from 'postgres'
import type { Logger } from '../../../core/log.ts'

/** A data directory in a folder of mode 0700, like root's home: the servers' account cannot enter it by name. */
export function privateFolder(): { path: string; dataDir: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'ledgerway-embedded-'))
  chmodSync(path, 0o700)
  const dataDir = join(path, 'data')
  mkdirSync(dataDir)
  return { path, dataDir, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

export async function withSql<T>(url: string, fn: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, connect_timeout: 60, onnotice: () => {} })
  try {
    return await fn(sql)
  } finally {
    await sql.end()
  }
}

/** Asks until the answer is truthy; a failure counts as "not yet". */
export async function until<T>(
  what: string,
  ask: () => Promise<T> | T,
  withinMs = 120_000,
): Promise<Exclude<T, undefined | false>> {
  let last: unknown
  for (const giveUp = performance.now() + withinMs; performance.now() < giveUp; await sleep(25)) {
    try {
      const answer = await ask()
      if (answer) return answer as Exclude<T, undefined | false>
    } catch (error) {
      last = error
    }
  }
  throw new Error(`in vain: ${what}`, { cause: last })
}

export function postmasterPid(dataDir: string, cluster: string): number {
  return Number.parseInt(readFileSync(join(dataDir, 'postgres', cluster, 'postmaster.pid'), 'utf8'), 10)
}

/** Remembers the messages, to wait for one or to look whether there was one. */
export function rememberingLogger(): Logger & { messages: string[] } {
  const messages: string[] = []
  const note = (_fields: object, message: string): void => void messages.push(message)
  const logger = { messages, debug: note, info: note, warn: note, error: note, child: () => logger }
  return logger
}

export interface ServersProcess extends AsyncDisposable {
  readonly child: ChildProcess
  readonly primaryUrl: string
  readonly redisUrl: string | null
}

/** Another node that claims the directory and runs one shard with its replica, and Redis where there is one. */
export async function startServersProcess(dataDir: string): Promise<ServersProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('servers-process.ts', import.meta.url)), dataDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  for await (const line of createInterface({ input: child.stdout })) {
    return {
      child,
      ...(JSON.parse(line) as { primaryUrl: string; redisUrl: string | null }),
      async [Symbol.asyncDispose]() {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.stdin.end()
        await once(child, 'exit')
      },
    }
  }
  throw new Error('the servers did not start')
}

/** kill -9, and its end. */
export async function killHard({ child }: ServersProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

import { readFileSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../core/log.ts'
import { processWorksIn } from './process-identity.ts'

/** Gentle first; the last cannot be refused, and both servers recover from it as from a power cut. */
const escalation = [
  { signal: 'SIGINT', waitMs: 8_000 },
  { signal: 'SIGQUIT', waitMs: 4_000 },
  { signal: 'SIGKILL', waitMs: 4_000 },
] as const

/**
 * Ends a server that an earlier start left behind (the guard, too, can be killed), then removes its pid file: after a
 * reboot the id in it may be another process's, and Postgres would refuse to start. Only a process that works in this
 * very directory is touched. The caller MUST hold the data directory's lock.
 */
export async function reapOrphan(directory: string, pidFile: string, logger: Logger): Promise<void> {
  const pid = readPid(pidFile)
  if (pid === undefined) return
  const alive = (): boolean => processWorksIn(pid, directory)
  if (alive()) logger.warn({ pid, directory }, 'ending a server that an earlier run left behind')
  for (const { signal, waitMs } of escalation) {
    if (!alive()) break
    try {
      process.kill(pid, signal)
    } catch {
      break // it ended in between
    }
    for (const giveUp = Date.now() + waitMs; alive() && Date.now() < giveUp;) await sleep(20)
  }
  rmSync(pidFile, { force: true })
}

function readPid(file: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(file, 'utf8'), 10)
    return pid > 1 ? pid : undefined
  } catch {
    return undefined
  }
}

import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'

/**
 * When a process began, in whatever form the system tells it: together with its id it names one process for good, since
 * ids are used again. Undefined: no such process, or one that has ended and only waits to be collected.
 */
export function processStart(pid: number): string | undefined {
  if (process.platform === 'linux') {
    const fields = statFields(pid)
    return fields === undefined || fields[0] === 'Z' ? undefined : fields[19]
  }
  return ps(pid, 'lstart=')
}

/** Whether this living process works in that directory (where there is no /proc: whether its command names it). */
export function processWorksIn(pid: number, directory: string): boolean {
  if (process.platform === 'linux') {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === directory && statFields(pid)?.[0] !== 'Z'
    } catch {
      return false // ended, or another account's: not one that we started
    }
  }
  return ps(pid, 'command=')?.includes(directory) ?? false
}

/** The fields of /proc/PID/stat from the state on; the name before them may hold blanks and brackets. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

function ps(pid: number, field: string): string | undefined {
  try {
    const output = execFileSync('ps', ['-ww', '-o', field, '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return output.trim() || undefined
  } catch {
    return undefined
  }
}

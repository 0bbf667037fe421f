import { execFileSync } from 'node:child_process'

/** The account that embedded servers run under; undefined is this process's own. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

/** Postgres refuses to run as root, so root lends it the `postgres` account, or `nobody` where that is missing. */
export function serverAccount(): ServerAccount | undefined {
  if (process.getuid?.() !== 0) return undefined
  return lookUp('postgres') ?? lookUp('nobody')
}

function lookUp(name: string): ServerAccount | undefined {
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  try {
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    return undefined
  }
}

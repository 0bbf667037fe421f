import type { ParseArgsOptionsConfig } from 'node:util'

/** One word after `ledgerway`. */
export interface Command<O extends ParseArgsOptionsConfig = ParseArgsOptionsConfig> {
  /** What `--help` and wrong arguments show; a test holds it to `options`. Ends with a newline. */
  readonly usage: string
  readonly options: O
  /** The exit code, or `misused`: then the usage is shown. Throws what `plainMessage` puts into words. */
  run(args: readonly string[], signal: AbortSignal): Promise<number | 'misused'>
}

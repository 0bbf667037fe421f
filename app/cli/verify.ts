import { runVerify, verifyOptions, verifyUsage } from '../../ledger/verify/command.ts'
import type { Command } from './command.ts'
import { createFileProgress } from './file-progress.ts'

export const verifyCommand: Command = {
  usage: verifyUsage,
  options: verifyOptions,
  async run(args) {
    using progress = createFileProgress('verify', process.stderr)
    return await runVerify(args, {
      out(text) {
        // The bar first, or the report would stand in its line.
        progress.stop()
        process.stdout.write(text)
      },
      err: (text) => process.stderr.write(text),
      progress: progress.update,
    })
  },
}

import { AppError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { composeData, type DataParts } from '../compose.ts'
import { type Config, readConfig } from '../config.ts'
import { isDataDirectory } from '../embedded/run-file.ts'
import { createLogger } from '../logger.ts'

/**
 * Runs `work` on the data of the running product, or starts its servers for as long as that takes.
 * @throws AppError CONFIG_INVALID where nothing was ever started on the data directory and the command does not begin one: a
 * mistyped DATA_DIR would be a new, empty deployment
 */
export async function withData<T>(
  options: { signal: AbortSignal; begins?: boolean },
  work: (data: DataParts, context: { config: Config; logger: Logger }) => Promise<T>,
): Promise<T> {
  const { signal, begins = false } = options
  const config = readConfig()
  if (!begins && config.external === undefined && !isDataDirectory(config.dataDir)) {
    throw new AppError(
      'CONFIG_INVALID',
      `There is no deployment in ${config.dataDir}. Set DATA_DIR to its data directory.`,
    )
  }
  const logger = createLogger(config.logLevel)
  await using stack = new AsyncDisposableStack()
  const data = await composeData({ config, logger, out: process.stderr, signal }, stack, { joinRunning: true })
  return await work(data, { config, logger })
}

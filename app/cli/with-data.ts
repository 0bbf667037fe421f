import type { Logger } from '../../core/log.ts'
import { composeData, type DataParts } from '../compose.ts'
import { type Config, readConfig } from '../config.ts'
import { createLogger } from '../logger.ts'

/** Runs `work` on the data of the running product, or starts its servers for as long as that takes. */
export async function withData<T>(
  signal: AbortSignal,
  work: (data: DataParts, context: { config: Config; logger: Logger }) => Promise<T>,
): Promise<T> {
  const config = readConfig()
  const logger = createLogger(config.logLevel)
  await using stack = new AsyncDisposableStack()
  const data = await composeData({ config, logger, out: process.stderr, signal }, stack, { joinRunning: true })
  return await work(data, { config, logger })
}

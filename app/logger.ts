import { pino } from 'pino'
import type { Logger } from '../core/log.ts'
import type { Config } from './config.ts'

/** JSON lines on standard error, written at once, so that nothing is lost when the process dies. */
export function createLogger(level: Config['logLevel']): Logger {
  return pino(
    { level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime, errorKey: 'error' },
    pino.destination({ fd: 2, sync: true }),
  )
}

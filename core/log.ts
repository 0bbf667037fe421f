/**
 * The log port; pino fits it as it is. Fields come first, as in pino. Never pass a key, a token, a payload or a
 * connection string: what is logged is read by more people than may read the data.
 */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  child(fields: LogFields): Logger
}

/** What was thrown is always the field `error`, so that searching the log for it finds all of it. */
type LogFields = { readonly [field: string]: unknown; readonly err?: never }

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}

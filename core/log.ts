/**
 * The log port; pino fits it as it is. Fields come first, as in pino. Never pass a key, a token, a payload or a
 * connection string: what is logged is read by more people than may read the data.
 */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Logger
}

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
}

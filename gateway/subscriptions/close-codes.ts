/**
 * Why a WebSocket is closed. Those below 4400 are not fatal to graphql-ws clients: they reconnect, and give back the last
 * cursor as `after`. `docs/subscriptions.md` is normative.
 */
export const closeCodes = {
  /** The server stops: connect again, elsewhere. */
  goingAway: { code: 1001, reason: 'Going away: connect again and resume' },
  /** An error of the server. Not 1011, after which graphql-ws clients give up. */
  internal: { code: 1013, reason: 'Internal error: connect again and resume' },
  /** Events were not taken in time: connect again and resume. */
  slowConsumer: { code: 4290, reason: 'Too slow: connect again and resume' },
  tooManyConnections: { code: 4291, reason: 'Too many connections: try again later' },
  badMessage: { code: 4400, reason: 'Invalid message' },
  /** No valid key, or it was revoked. */
  unauthorized: { code: 4401, reason: 'Unauthorized' },
} as const

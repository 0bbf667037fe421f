import { inject } from 'vitest'

/**
 * The run's private Redis, or null on a machine without one. It is shared by every test file: use a key prefix of your
 * own, and never `flushall`.
 */
export function redisUrl(): string | null {
  return inject('redisUrl')
}

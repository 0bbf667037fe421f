import { type PoolOptions, poolProfiles } from '../../store/pool/options.ts'

const longMs = 90_000

/** A profile's pool that a machine with too much to do does not make fail. */
export const patientPool = (profile: keyof typeof poolProfiles): PoolOptions => ({
  ...poolProfiles[profile],
  connectTimeoutMs: longMs,
  waitTimeoutMs: longMs,
  statementTimeoutMs: longMs,
  lockTimeoutMs: longMs,
})

import { randomBytes } from 'node:crypto'
import { newPrincipalKey, publicPrincipalKey } from '../access/principal-key.ts'
import { formatSkey, newSeed } from '../ledger/proof/keys.ts'

/**
 * Fresh secrets for docker-compose.yml, to be written to `.env` (docs/operations.md). Imports no package: it runs before
 * anything is installed, where Docker is all there is.
 */
const hex = (): string => randomBytes(24).toString('hex')
const principalKey = newPrincipalKey()
const secrets = {
  // Parts of URLs: hexadecimal, so that nothing needs escaping.
  POSTGRES_SUPERUSER_PASSWORD: hex(),
  POSTGRES_PASSWORD: hex(),
  REPLICATION_PASSWORD: hex(),
  REDIS_PASSWORD: hex(),
  ADMIN_API_KEY: randomBytes(32).toString('base64url'),
  METRICS_TOKEN: randomBytes(32).toString('base64url'),
  WRAPPING_KEY: randomBytes(32).toString('base64'),
  CHECKPOINT_KEY: formatSkey('ledgerway', newSeed()),
  PRINCIPAL_SIGNING_KEY: principalKey,
  PRINCIPAL_PUBLIC_KEY: publicPrincipalKey(principalKey),
}
for (const [name, value] of Object.entries(secrets)) process.stdout.write(`${name}=${value}\n`)

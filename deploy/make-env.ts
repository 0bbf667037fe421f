import { randomBytes } from 'node:crypto'
import { newPrincipalKey, publicPrincipalKey } from '../access/propagation.ts'
import { formatSkey, newSeed } from '../ledger/proof/keys.ts'

/** `node deploy/make-env.ts > .env`: fresh secrets for docker-compose.yml. Keep the file at 0600, and a copy elsewhere. */
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

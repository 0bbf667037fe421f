import { generateKeyPairSync } from 'node:crypto'
import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { newPrincipalKey, publicPrincipalKey, splitPrincipalKeys } from '../../access/principal-key.ts'
import { createPrincipalSigner, createPrincipalVerifier } from '../../access/propagation.ts'
import { parseCompanyId } from '../../core/ids.ts'
import { anonymous, type Principal } from '../../core/request.ts'

const privateKey = newPrincipalKey()
const acme: Principal = { kind: 'company', companyId: parseCompanyId('acme'), keyId: 'k1', scopes: ['ledger.read'] }
const unauthenticated = expect.objectContaining({ code: 'UNAUTHENTICATED' })

test.each<Principal>([acme, { kind: 'admin', keyId: 'k2', scopes: ['*'] }, anonymous])(
  'a principal arrives as it was sent: $kind',
  async (principal) => {
    const token = await createPrincipalSigner({ privateKey }).sign(principal)
    const verifier = createPrincipalVerifier({ keys: [publicPrincipalKey(privateKey)] })
    expect(await verifier.verify(token)).toEqual(principal)
  },
)

test('a signature is used again within its lifetime, and expires after it', async () => {
  let now = 1_800_000_000_000
  const clock = { now: () => now }
  const signer = createPrincipalSigner({ privateKey, clock })
  const verifier = createPrincipalVerifier({ keys: [privateKey], clock })
  const token = await signer.sign(acme)
  expect(await signer.sign({ ...acme })).toBe(token)
  now += 30_000
  expect(await signer.sign(acme)).not.toBe(token)
  expect(await verifier.verify(token)).toEqual(acme)
  now += 36_000
  await expect(verifier.verify(token)).rejects.toEqual(unauthenticated)
})

test('while keys rotate, both are accepted, and afterwards only the new one', async () => {
  const next = newPrincipalKey()
  const token = await createPrincipalSigner({ privateKey }).sign(acme)
  expect(
    await createPrincipalVerifier({ keys: splitPrincipalKeys(`${next}, ${publicPrincipalKey(privateKey)}`) }).verify(
      token,
    ),
  ).toEqual(acme)
  await expect(createPrincipalVerifier({ keys: [next] }).verify(token)).rejects.toEqual(unauthenticated)
})

test('a token for another audience, of another issuer, unsigned or altered is refused', async () => {
  const { privateKey: key, publicKey } = generateKeyPairSync('ed25519')
  const verifier = createPrincipalVerifier({ keys: [publicKey.export({ format: 'pem', type: 'spki' })] })
  const make = (iss: string, aud: string): Promise<string> =>
    new SignJWT({ principal: { kind: 'admin', keyId: 'x', scopes: ['*'] } })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer(iss)
      .setAudience(aud)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(key)
  const good = await make('ledgerway-gateway', 'ledgerway-subgraph')
  expect(await verifier.verify(good)).toMatchObject({ kind: 'admin' })
  const [header, , signature] = good.split('.')
  const forged = Buffer.from(JSON.stringify({ principal: { kind: 'anonymous' } })).toString('base64url')
  const unsigned = Buffer.from(JSON.stringify({ alg: 'none' })).toString('base64url')
  for (const bad of [
    await make('ledgerway-gateway', 'someone-else'),
    await make('someone-else', 'ledgerway-subgraph'),
    `${header}.${forged}.${signature}`,
    `${unsigned}.${good.split('.')[1]}.`,
    'nonsense',
    '',
  ]) {
    await expect(verifier.verify(bad)).rejects.toEqual(unauthenticated)
  }
})

test('a key of another kind is a configuration error', () => {
  const { privateKey: rsa } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = rsa.export({ format: 'pem', type: 'pkcs8' })
  for (const bad of [pem, 'not a key', '']) {
    expect(() => createPrincipalSigner({ privateKey: bad })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
  }
})

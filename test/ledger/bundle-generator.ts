import { createHash, createPrivateKey, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto'

/**
 * Writes ledger bundles from the format's page alone, with nothing of the product: the yardstick for its verifier. What
 * it writes can be broken on purpose, before or after it is hashed and signed.
 */

export interface TestKey {
  vkey(name: string): string
  sign(name: string, text: string): string
}

export function testKey(seed: Buffer = randomBytes(32)): TestKey {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  const raw = rawPublic(createPublicKey(privateKey))
  const keyId = (name: string): Buffer => sha256(`${name}\n`, Buffer.of(1), raw).subarray(0, 4)
  return {
    vkey: (name) => `${name}+${keyId(name).toString('hex')}+${Buffer.concat([Buffer.of(1), raw]).toString('base64')}`,
    sign: (name, text) => {
      const signature = Buffer.concat([keyId(name), sign(null, Buffer.from(text), privateKey)])
      return `— ${name} ${signature.toString('base64')}\n`
    },
  }
}

export type TestJson = Record<string, unknown>

export interface TestRecord {
  header: TestJson
  data: TestJson
  private?: TestJson
  /** What the bundle leaves out; what is hashed stays the same. */
  withoutData?: boolean
  withoutPrivate?: boolean
}

export interface RecordLine {
  position: number
  header: string
  data: string | null
  salt: string | null
  dataCommitment: string
  private: string | null
  privateSalt: string | null
  privateCommitment: string | null
}

export interface TestBundle {
  head: { format: string; origin: string; size: number; private: boolean; checkpoint: string; vkey: string }
  lines: RecordLine[]
}

const zero = Buffer.alloc(32).toString('base64')

export function sha256(...parts: (string | Uint8Array)[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** RFC 8785 for the plain values that these tests use. */
export function jcs(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(jcs).join(',')}]`
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${jcs(item)}`).join(',')}}`
}

export function lineOf(record: TestRecord, position: number): RecordLine {
  const salt = sha256('salt', String(position))
  const privateSalt = sha256('private salt', String(position))
  const data = jcs(record.data)
  const secret = record.private === undefined ? undefined : jcs(record.private)
  const showsPrivate = secret !== undefined && record.withoutPrivate !== true
  return {
    position,
    header: jcs(record.header),
    data: record.withoutData ? null : data,
    salt: record.withoutData ? null : salt.toString('base64'),
    dataCommitment: sha256(salt, data).toString('base64'),
    private: showsPrivate ? secret : null,
    privateSalt: showsPrivate ? privateSalt.toString('base64') : null,
    privateCommitment: secret === undefined ? null : sha256(privateSalt, secret).toString('base64'),
  }
}

export function leavesOf(origin: string, lines: readonly RecordLine[]): Buffer[] {
  const leaves: Buffer[] = []
  for (const [i, line] of lines.entries()) {
    const entry = [
      'ledgerway-entry/v1',
      origin,
      String(i),
      leaves[i - 1]?.toString('base64') ?? zero,
      sha256(line.header).toString('base64'),
      line.dataCommitment,
      line.privateCommitment ?? zero,
      '',
    ].join('\n')
    leaves.push(sha256(Buffer.of(0), entry))
  }
  return leaves
}

/** RFC 6962 section 2.1, as it is written there. */
export function rootOf(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256('')
  if (leaves.length === 1) return leaves[0]!
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return sha256(Buffer.of(1), rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)))
}

export function checkpointOf(origin: string, lines: readonly RecordLine[], keys: readonly TestKey[]): string {
  const text = `${origin}\n${lines.length}\n${rootOf(leavesOf(origin, lines)).toString('base64')}\n`
  return `${text}\n${keys.map((key) => key.sign(origin, text)).join('')}`
}

/** Hashes and signs the lines as they are, true or not: what an operator who holds the key could do. */
export function bundleOf(
  origin: string,
  lines: RecordLine[],
  key: TestKey,
  { withPrivate = true, signers = [key] }: { withPrivate?: boolean; signers?: readonly TestKey[] } = {},
): TestBundle {
  const checkpoint = checkpointOf(origin, lines, signers)
  return {
    head: {
      format: 'ledgerway-bundle/v1',
      origin,
      size: lines.length,
      private: withPrivate,
      checkpoint,
      vkey: key.vkey(origin),
    },
    lines,
  }
}

export function textOf(bundle: TestBundle): string {
  return [bundle.head, ...bundle.lines].map((line) => `${JSON.stringify(line)}\n`).join('')
}

function rawPublic(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url')
}

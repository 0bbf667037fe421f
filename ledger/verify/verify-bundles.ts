import { encodeBase64 } from '../proof/base64.ts'
import { openCheckpoint, type Checkpoint } from '../proof/checkpoint.ts'
import { parseVkey, type Verifier } from '../proof/keys.ts'
import { BundleVerifier, type KnownRoot } from './bundle-verifier.ts'
import { gravest, type Finding } from './findings.ts'
import { FormatError, namedKeyOf, parseBundleHeader, type BundleHeader } from './format.ts'
import { readLines, UnreadableLines } from './lines.ts'

export interface VerifyInput {
  readonly files: readonly string[]
  /** The pinned keys. */
  readonly verifiers: readonly Verifier[]
  /** A bundle of any other ledger is invalid. */
  readonly origins: readonly string[]
  /** Signed notes that were kept, with the name of where each was. */
  readonly older: readonly { source: string; note: string }[]
  /** Told after every block of lines of a bundle: how many of its records are read. */
  readonly onProgress?: ((file: string, done: number, size: number) => void) | undefined
}

export interface VerifiedSubject {
  /** The bundle's file, or an older checkpoint's. */
  readonly source: string
  readonly origin?: string
  /** Of the checkpoint. */
  readonly size?: number
  /** Base64, of the checkpoint. */
  readonly root?: string
  /** The pinned vkeys that have signed the checkpoint. */
  readonly signedBy?: readonly string[]
  /** How many records were read and found good. */
  readonly records?: number
  readonly erasedParts?: number
  readonly findings: readonly Finding[]
}

type Trusted = { checkpoint: Checkpoint; signedBy: string[] }
type Judged = { trusted: Trusted } | { finding: Finding }
type OpenedBundle = { file: string; header?: BundleHeader; judged: Judged }

/**
 * Verifies bundles offline: one subject a bundle, and one for each older checkpoint that has something wrong with it.
 * Trust is decided first, from the first lines; then every bundle is read once, against its checkpoint and against every
 * trusted root of the same ledger that is known from elsewhere.
 * @throws errors of the file system as they are
 */
export async function verifyBundles(input: VerifyInput): Promise<VerifiedSubject[]> {
  const subjects: VerifiedSubject[] = []
  const known: { origin: string; from: string; root: KnownRoot; bundle: boolean }[] = []
  const bundles: OpenedBundle[] = []
  for (const file of input.files) {
    const bundle = await openBundle(file, input)
    bundles.push(bundle)
    if ('trusted' in bundle.judged) {
      const { origin, size, root } = bundle.judged.trusted.checkpoint
      known.push({
        origin,
        from: file,
        root: { size, root: encodeBase64(root), source: `the bundle ${file}` },
        bundle: true,
      })
    }
  }
  const ledgers = new Set(bundles.map(({ header }) => header?.origin))
  for (const { source, note } of input.older) {
    const judged = judgeOlder(note, input.verifiers, ledgers)
    if ('finding' in judged) {
      subjects.push({ source, findings: [judged.finding] })
      continue
    }
    const { origin, size, root } = judged.trusted.checkpoint
    const knownRoot = { size, root: encodeBase64(root), source: `the older checkpoint ${source}` }
    known.push({ origin, from: source, root: knownRoot, bundle: false })
  }
  for (const { file, header, judged } of bundles) {
    if (header === undefined || 'finding' in judged) {
      const findings = 'finding' in judged ? [judged.finding] : []
      subjects.push({ source: file, ...(header && { origin: header.origin, size: header.size }), findings })
      continue
    }
    const { checkpoint, signedBy } = judged.trusted
    const roots = known
      .filter(({ origin, from }) => origin === checkpoint.origin && from !== file)
      // A smaller bundle beside a larger one is no truncation; a larger older checkpoint is.
      .filter(({ bundle, root }) => !bundle || root.size <= checkpoint.size)
      .map(({ root }) => root)
    const verified = await verifyRecords(file, new BundleVerifier(header, checkpoint, roots), (done) =>
      input.onProgress?.(file, done, checkpoint.size),
    )
    const { origin, size } = checkpoint
    const root = encodeBase64(checkpoint.root)
    subjects.push({ source: file, origin, size, root, signedBy, ...verified })
  }
  return subjects
}

async function openBundle(file: string, input: VerifyInput): Promise<OpenedBundle> {
  try {
    for await (const { bytes, bounds } of readLines(file)) {
      const line = bytes.toString('utf8', bounds[0], bounds[1])
      // Whose bundle it is comes before whether it is well-formed.
      const named = namedKeyOf(line)
      const untrusted = named === undefined ? undefined : judgeKey(named, input)
      if (untrusted !== undefined) return { file, judged: { finding: untrusted } }
      const header = parseBundleHeader(line)
      return { file, header, judged: judgeHeader(header, input) }
    }
  } catch (error) {
    const finding = unreadable(error)
    if (finding === undefined) throw error
    return { file, judged: { finding: { ...finding, line: 1 } } }
  }
  return { file, judged: { finding: { kind: 'invalid', what: 'the bundle is empty' } } }
}

/** What makes a bundle's key untrusted, if anything does. */
function judgeKey(named: Pick<BundleHeader, 'vkey' | 'checkpoint'>, { verifiers }: VerifyInput): Finding | undefined {
  const opened = openCheckpoint(named.checkpoint, verifiers)
  if (!verifiers.some(({ vkey }) => vkey === named.vkey) && !(opened.kind === 'verified' && signsAsWell(named))) {
    return { kind: 'untrusted', what: `its key is not pinned: ${named.vkey}`, line: 1 }
  }
  return opened.kind === 'untrusted'
    ? { kind: 'untrusted', what: 'no pinned key has signed its checkpoint', line: 1 }
    : undefined
}

/** Whether a bundle's checkpoint may be believed, and is of the ledger and size that the bundle says. */
function judgeHeader(header: BundleHeader, { verifiers, origins }: VerifyInput): Judged {
  const invalid = (what: string): Judged => ({ finding: { kind: 'invalid', what, line: 1 } })
  const opened = openCheckpoint(header.checkpoint, verifiers)
  if (opened.kind === 'untrusted') throw new TypeError('its key was judged before')
  if (opened.kind === 'invalid') return invalid(`checkpoint: ${opened.why}`)
  const { checkpoint } = opened
  const signedBy = opened.by.map(({ vkey }) => vkey)
  if (!signedBy.includes(header.vkey) && !signsAsWell(header))
    return invalid('the key that it names has not signed its checkpoint')
  if (checkpoint.origin !== header.origin)
    return invalid(`its checkpoint is of ${checkpoint.origin}, not ${header.origin}`)
  if (!origins.includes(header.origin)) return invalid(`its origin ${header.origin} is not an expected one`)
  if (checkpoint.size !== header.size) return invalid(`its checkpoint has size ${checkpoint.size}, not ${header.size}`)
  return { trusted: { checkpoint, signedBy } }
}

/**
 * Whether the key that a bundle names has signed its checkpoint. While a key is being replaced, the new one is named and
 * the old one, perhaps the only one pinned, signs beside it.
 */
function signsAsWell({ vkey, checkpoint }: Pick<BundleHeader, 'vkey' | 'checkpoint'>): boolean {
  const named = parseVkey(vkey)
  return named !== undefined && openCheckpoint(checkpoint, [named]).kind === 'verified'
}

function judgeOlder(note: string, verifiers: readonly Verifier[], ledgers: ReadonlySet<string | undefined>): Judged {
  const opened = openCheckpoint(note, verifiers)
  if (opened.kind === 'untrusted') {
    return { finding: { kind: 'untrusted', what: 'no pinned key has signed the older checkpoint' } }
  }
  if (opened.kind === 'invalid') return { finding: { kind: 'invalid', what: `older checkpoint: ${opened.why}` } }
  const { checkpoint, by } = opened
  if (!ledgers.has(checkpoint.origin)) {
    return { finding: { kind: 'invalid', what: `the older checkpoint is of ${checkpoint.origin}, which no bundle is` } }
  }
  return { trusted: { checkpoint, signedBy: by.map(({ vkey }) => vkey) } }
}

async function verifyRecords(
  file: string,
  verifier: BundleVerifier,
  onProgress: (done: number) => void,
): Promise<{ records: number; erasedParts: number; findings: readonly Finding[] }> {
  const findings = await findInRecords(file, verifier, onProgress)
  return { records: verifier.records, erasedParts: verifier.erasedParts, findings }
}

async function findInRecords(
  file: string,
  verifier: BundleVerifier,
  onProgress: (done: number) => void,
): Promise<Finding[]> {
  try {
    let first = true
    for await (const { bytes, bounds } of readLines(file)) {
      for (let i = first ? 2 : 0; i < bounds.length; i += 2) {
        const finding = verifier.add(bytes.toString('utf8', bounds[i], bounds[i + 1]))
        if (finding !== undefined) return [finding]
      }
      first = false
      onProgress(verifier.records)
    }
  } catch (error) {
    const finding = unreadable(error)
    if (finding === undefined) throw error
    return [{ ...finding, line: verifier.records + 2 }]
  }
  const findings = verifier.finish()
  const first = gravest(findings)
  return first === undefined ? [] : [first, ...findings.filter((finding) => finding !== first)]
}

function unreadable(error: unknown): Finding | undefined {
  return error instanceof FormatError || error instanceof UnreadableLines
    ? { kind: 'invalid', what: error.message }
    : undefined
}

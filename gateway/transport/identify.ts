/** What answers at a subgraph's URL, asked beside its endpoint: `GET health/live`. */
export type Identity =
  /** Without a name where it does not say: a subgraph of another make, or of a release before this was asked. */
  { kind: 'answers'; name: string | undefined } | { kind: 'silent' }

const waitMs = 1_000
const namePattern = /^[A-Za-z0-9_-]{1,64}$/

export async function identify(url: string): Promise<Identity> {
  try {
    const response = await fetch(new URL('health/live', url), { signal: AbortSignal.timeout(waitMs) })
    const text = await response.text()
    return { kind: 'answers', name: response.ok ? nameIn(text) : undefined }
  } catch {
    return { kind: 'silent' }
  }
}

function nameIn(text: string): string | undefined {
  try {
    const name = (JSON.parse(text) as { subgraph?: unknown } | null)?.subgraph
    return typeof name === 'string' && namePattern.test(name) ? name : undefined
  } catch {
    return undefined
  }
}

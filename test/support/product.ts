import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { environment } from '../../app/config.ts'

/** The product as a user starts it: a process of its own, with its own data directory and any free port. */
export interface Product extends AsyncDisposable {
  readonly url: string
  readonly dataDir: string
  readonly adminKey: string
  readonly pid: number
  /** What it wrote to standard error so far. */
  stderr(): string
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>
  graphql<T = Record<string, unknown>>(
    query: string,
    variables?: Record<string, unknown>,
    headers?: Record<string, string>,
  ): Promise<GraphQLAnswer<T>>
}

export interface GraphQLAnswer<T> {
  readonly status: number
  readonly headers: Headers
  readonly data: T | null
  readonly errors?: readonly { message: string; path?: (string | number)[]; extensions?: Record<string, unknown> }[]
  readonly extensions?: Record<string, unknown>
}

const testAdminKey = 'test-administrator-key-0123456789'
const root = new URL('../..', import.meta.url).pathname

/** Without `dataDir` a new one is made, and removed at the end. */
export async function startProduct(
  options: { dataDir?: string; env?: Record<string, string>; args?: readonly string[] } = {},
): Promise<Product> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'ledgerway-e2e-')))
  const child = spawn(process.execPath, ['app/main.ts', ...(options.args ?? [])], {
    cwd: root,
    env: { ...unconfigured(), ...defaults(dataDir), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const exited = once(child, 'exit')
  const stop = async (signal: NodeJS.Signals = 'SIGINT'): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  const url = await readyUrl(child, () => stderr)
  const adminKey = options.env?.['ADMIN_API_KEY'] ?? testAdminKey
  return {
    url,
    dataDir,
    adminKey,
    pid: child.pid ?? 0,
    stderr: () => stderr,
    stop,
    graphql: (query, variables, headers) =>
      postGraphql(
        url,
        { query, ...(variables === undefined ? {} : { variables }) },
        {
          authorization: `Bearer ${adminKey}`,
          ...headers,
        },
      ),
    async [Symbol.asyncDispose]() {
      await stop('SIGTERM')
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true })
    },
  }
}

export async function postGraphql<T>(
  url: string,
  body: object | string,
  headers: Record<string, string> = {},
): Promise<GraphQLAnswer<T>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const answer = (await response.json()) as Omit<GraphQLAnswer<T>, 'status' | 'headers'>
  return { ...answer, status: response.status, headers: response.headers }
}

/** The environment without what the machine may set for a Ledgerway of its own. */
export function unconfigured(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !(name in environment)))
}

function defaults(dataDir: string): Record<string, string> {
  return { DATA_DIR: dataDir, PORT: '0', HOST: '127.0.0.1', DEMO: '0', ADMIN_API_KEY: testAdminKey }
}

async function readyUrl(child: ChildProcess, stderr: () => string): Promise<string> {
  if (child.stdout === null) throw new Error('no standard output')
  for await (const line of createInterface(child.stdout)) {
    const [, url] = /^ready (https?:\/\/\S+)$/.exec(line) ?? []
    if (url !== undefined) {
      child.stdout.resume()
      return url
    }
  }
  throw new Error(`the product ended before it was ready:\n${stderr()}`)
}

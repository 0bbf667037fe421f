import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { unconfigured } from '../support/product.ts'

export const adminKey = 'torture-administrators-key-0123456789'

/** One process of the product, with every role, on servers of its own; it is killed and started again on its port. */
export interface ProductProcess extends AsyncDisposable {
  readonly url: string
  /** As `kill -9`, then started again; resolves when it answers. */
  crash(): Promise<void>
}

export async function startProduct(env: Record<string, string>): Promise<ProductProcess> {
  let child: ChildProcess
  let url = ''
  // A run that is over its time is ended without disposing of anything.
  process.once('exit', () => child.kill('SIGKILL'))

  async function launch(): Promise<void> {
    const { port } = url === '' ? { port: '0' } : new URL(url)
    child = spawn(process.execPath, [fileURLToPath(new URL('../../app/main.ts', import.meta.url))], {
      env: { ...unconfigured(), ...env, PORT: port, DEMO: '0', ADMIN_API_KEY: adminKey, LOG_LEVEL: 'silent' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let complaint = ''
    child.stderr?.on('data', (chunk: Buffer) => (complaint = `${complaint}${chunk.toString()}`.slice(-2_000)))
    for await (const line of createInterface({ input: child.stdout! })) {
      const [, ready] = /^ready (\S+)/.exec(line) ?? []
      if (ready === undefined) continue
      url = ready
      return
    }
    throw new Error(`the product ended before it was ready: ${complaint}`)
  }

  async function kill(signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** A start may fail while its servers are being killed, or for a machine that is too busy to answer in time. */
  async function relaunch(): Promise<void> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        await launch()
        return
      } catch (error) {
        if (attempt >= 10) throw error
      }
    }
  }

  await relaunch()
  return {
    get url() {
      return url
    },
    async crash() {
      await kill('SIGKILL')
      await relaunch()
    },
    [Symbol.asyncDispose]: () => kill('SIGTERM'),
  }
}

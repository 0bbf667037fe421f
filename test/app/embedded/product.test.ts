import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { processStart } from '../../../app/embedded/process-identity.ts'
import { unconfigured } from '../../support/product.ts'
import { postmasterPid, privateFolder, until } from './support.ts'

const adminKey = 'administrator-key-of-a-test'

test('under the running product a killed Postgres comes back, and kill -9 of the product leaves no server', async () => {
  using folder = privateFolder()
  const product = spawn(process.execPath, [fileURLToPath(new URL('../../../app/main.ts', import.meta.url))], {
    env: {
      ...unconfigured(),
      DATA_DIR: folder.dataDir,
      ADMIN_API_KEY: adminKey,
      EMBEDDED_SHARDS: '2',
      REDIS_URL: '',
      PORT: '0',
      DEMO: '0',
      LOG_LEVEL: 'silent',
      NODE_ENV: 'development',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(product, 'exit')
  try {
    let url = ''
    for await (const line of createInterface({ input: product.stdout })) {
      if (!line.startsWith('ready ')) continue
      url = line.slice('ready '.length)
      break
    }
    const ready = async (): Promise<number> => (await fetch(new URL('/health/ready', url))).status
    const companies = async (): Promise<{ data?: unknown; errors?: { extensions: { code: string } }[] }> => {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${adminKey}` },
        body: JSON.stringify({ query: `{ companies(first: 1) { nodes { id } } } # ${performance.now()}` }),
      })
      return answer.json() as Promise<{ data?: unknown }>
    }
    const pids = ['shard-1', 'shard-1-replica', 'shard-2'].map((name) => postmasterPid(folder.dataDir, name))
    await until('readiness', async () => (await ready()) === 200)

    process.kill(pids[2] ?? 0, 'SIGKILL')
    const codes = new Set<string>()
    const { data } = await until('every shard to answer again', async () => {
      const restarted = postmasterPid(folder.dataDir, 'shard-2') !== pids[2]
      const answer = await companies()
      for (const error of answer.errors ?? []) codes.add(error.extensions.code)
      return restarted && answer.errors === undefined ? answer : undefined
    })
    expect(data).toEqual({ companies: { nodes: [] } })
    codes.delete('SHARD_UNAVAILABLE')
    expect(codes).toEqual(new Set())
    expect(await until('readiness', async () => (await ready()) === 200)).toBe(true)

    const all = [...pids.slice(0, 2), postmasterPid(folder.dataDir, 'shard-2')]
    product.kill('SIGKILL')
    await exited
    await until('every server to end', () => all.every((pid) => processStart(pid) === undefined))
    expect(all.map(processStart)).toEqual([undefined, undefined, undefined])
  } finally {
    product.kill('SIGKILL')
    await exited
  }
})

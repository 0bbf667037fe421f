import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { claimDataDirectory, joinOrClaim, readRunFile } from '../../../app/embedded/run-file.ts'
import { privateFolder } from './support.ts'

const info = {
  url: 'http://127.0.0.1:4000/graphql',
  roles: ['gateway'],
  shards: [{ name: 'shard-1', primaryUrl: 'postgres://a/b', replicaUrls: [] }],
  catalogUrl: 'postgres://a/c',
  redisUrl: null,
}

test('a second start on the same directory is refused and told the first one’s process and address', async () => {
  using folder = privateFolder()
  await using claim = await claimDataDirectory(folder.dataDir)
  await claim.publish(info)
  await expect(claimDataDirectory(folder.dataDir)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining(`process ${process.pid}, ${info.url}`),
  })
})

test.runIf(process.platform === 'linux')(
  'a data directory where nothing can be made is refused, though Node’s own mkdir would try for ever',
  async () => {
    for (const dataDir of ['/proc/ledgerway', '/proc/ledgerway/deeper']) {
      await expect(claimDataDirectory(dataDir)).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`The data directory ${dataDir} cannot be used`),
      })
    }
  },
)

test('of two processes that start at once, one gets the directory', async () => {
  using folder = privateFolder()
  const claims = await Promise.allSettled([1, 2, 3].map(() => claimDataDirectory(folder.dataDir)))
  const won = claims.filter((claim) => claim.status === 'fulfilled')
  expect(won).toHaveLength(1)
  for (const { value } of won) await value[Symbol.asyncDispose]()
  await (await claimDataDirectory(folder.dataDir))[Symbol.asyncDispose]()
})

test('a process that was killed keeps nobody out', async () => {
  using folder = privateFolder()
  const module = fileURLToPath(new URL('../../../app/embedded/run-file.ts', import.meta.url))
  const code = `
    const { claimDataDirectory } = await import(${JSON.stringify(module)})
    const claim = await claimDataDirectory(${JSON.stringify(folder.dataDir)})
    await claim.publish(${JSON.stringify(info)})
    console.log('claimed')
    setInterval(() => {}, 1_000)
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const held = await readRunFile(folder.dataDir)
  expect(held).toMatchObject({ pid: child.pid, url: info.url })
  await expect(claimDataDirectory(folder.dataDir)).rejects.toThrow(`process ${child.pid}`)
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  expect(await readRunFile(folder.dataDir)).toBeUndefined()
  await using claim = await claimDataDirectory(folder.dataDir)
  await claim.publish(info)
  expect(await readRunFile(folder.dataDir)).toMatchObject({ pid: process.pid })
})

test('the file holds credentials, so it is readable for its owner alone, and gone after the end', async () => {
  using folder = privateFolder()
  const file = join(folder.dataDir, 'run.json')
  {
    await using claim = await claimDataDirectory(folder.dataDir)
    await claim.publish(info)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await readRunFile(folder.dataDir)).toMatchObject(info)
  }
  expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined()
})

test('a pid that belongs to another process by now does not count as running', async () => {
  using folder = privateFolder()
  const file = join(folder.dataDir, 'run.json')
  await using claim = await claimDataDirectory(folder.dataDir)
  await claim.publish(info)
  const written = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  writeFileSync(file, JSON.stringify({ ...written, processStart: '1' }))
  expect(await readRunFile(folder.dataDir)).toBeUndefined()
})

test('a directory that cannot be written is refused in words', async () => {
  using folder = privateFolder()
  const file = join(folder.path, 'file')
  writeFileSync(file, '')
  await expect(claimDataDirectory(join(file, 'data'))).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('cannot be used'),
  })
})

test('who is to work beside a product that is still starting waits for it, and is not told to stop it', async () => {
  using folder = privateFolder()
  const { signal } = new AbortController()
  const starting = await claimDataDirectory(folder.dataDir)
  await expect(joinOrClaim(folder.dataDir, { signal, patienceMs: 0 })).rejects.toThrow(/is not ready: it is starting/)

  const waiting = Promise.withResolvers<void>()
  const joining = joinOrClaim(folder.dataDir, { signal, onWaiting: waiting.resolve })
  await waiting.promise
  await starting.publish(info)
  expect(await joining).toMatchObject({ running: { pid: process.pid, url: info.url } })

  await starting[Symbol.asyncDispose]()
  const alone = await joinOrClaim(folder.dataDir, { signal })
  expect(Object.keys(alone)).toEqual(['claim'])
  if ('claim' in alone) await alone.claim[Symbol.asyncDispose]()
})

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type GuardedProcess, spawnGuarded } from '../../../app/embedded/guard.ts'
import { privateFolder, until } from './support.ts'

/** A node in the place of a server: a shell could not listen to a signal that its own parent shell ignores. */
const run = (folder: string, script: string, shutdownMs = 20_000): GuardedProcess =>
  spawnGuarded({
    command: process.execPath,
    args: ['-e', script],
    cwd: folder,
    account: undefined,
    logFile: join(folder, 'log'),
    shutdownMs,
  })

test('a server is asked to stop, and one that does not listen is stopped all the same', async () => {
  using folder = privateFolder()
  const forever = 'setInterval(() => {}, 1000)'
  const goodbye = 'process.on("SIGINT", () => { console.log("goodbye"); process.exit() })'
  const polite = run(folder.path, `${goodbye}; console.log("up"); ${forever}`)
  await until('the polite one', () => polite.logTail() === 'up')
  await polite.stop()
  expect(polite.logTail()).toBe('up\ngoodbye')

  const deaf = run(folder.path, `process.on("SIGINT", () => {}); console.log("deaf"); ${forever}`, 200)
  await until('the deaf one', () => deaf.logTail() === 'deaf')
  expect(deaf.hasExited()).toBe(false)
  await deaf.stop()
  expect(deaf.hasExited()).toBe(true)
})

test('a server sees nothing of the environment, which may hold keys', async () => {
  using folder = privateFolder()
  process.env['LEDGERWAY_TEST_SECRET'] = 'hunter2'
  try {
    const server = run(folder.path, 'console.log(process.env)')
    await server.exited
    expect(server.logTail()).toContain("TZ: 'UTC'")
    expect(server.logTail()).not.toContain('hunter2')
  } finally {
    delete process.env['LEDGERWAY_TEST_SECRET']
  }
})

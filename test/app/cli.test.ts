import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { commands } from '../../app/cli/commands.ts'
import { unconfigured } from '../support/product.ts'

const cli = fileURLToPath(new URL('../../app/cli.ts', import.meta.url))

test('a command on a data directory where nothing was ever started says so and makes no deployment there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ledgerway-cli-'))
  const mistyped = join(folder, 'mistyped')
  const running = promisify(execFile)(process.execPath, [cli, 'keys', 'list'], {
    env: { ...unconfigured(), DATA_DIR: mistyped },
  })
  await expect(running).rejects.toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining(`ledgerway: There is no deployment in ${mistyped}. Set DATA_DIR`),
  })
  expect(existsSync(mistyped)).toBe(false)
  await rm(folder, { recursive: true })
})

test('a command with an option missing or an argument too many is not begun', async () => {
  const { signal } = new AbortController()
  for (const [name, ...args] of [
    ['keys', 'mend'],
    ['keys', 'create', '--admin'],
    ['keys', 'revoke'],
    ['shards', 'move', 'acme'],
    ['feed', 'forget', 'a', 'b'],
    ['export'],
    ['import', 'a', 'b'],
    ['plan'],
  ] as const) {
    const command = await commands[name]?.()
    expect([name, ...args, await command?.run(args, signal)]).toEqual([name, ...args, 'misused'])
  }
})

import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startProduct } from '../support/product.ts'

const run = promisify(execFile)
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')

/** The README's shell blocks that talk to the server, in order. */
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .map(([, text]) => text ?? '')
  .filter((text) => text.includes('curl'))

test('the query, the append and the subscription of the README answer as pasted', async () => {
  await using product = await startProduct({ env: { DEMO: '1' } })
  await expect.poll(() => product.stderr(), { timeout: 300_000, interval: 100 }).toMatch(/demo .*loaded/i)
  const [query = '', append = '', subscribe = ''] = commands.map((text) =>
    text.replaceAll('http://127.0.0.1:4000/graphql', product.url),
  )
  const shell = (script: string, timeout?: number): Promise<{ stdout: string }> =>
    run('bash', ['-c', script], {
      env: { ...process.env, LEDGERWAY_KEY: product.adminKey },
      ...(timeout === undefined ? {} : { timeout }),
    })

  const answer = JSON.parse((await shell(query)).stdout)
  expect(answer.errors).toBeUndefined()
  expect(answer.data.companies.nodes).toHaveLength(3)
  for (const company of answer.data.companies.nodes) {
    expect(company.sector.name).toBe('Information Technology')
    expect(company.ledger.size).toBeGreaterThan(0)
    expect(company.ledger.records.nodes.length).toBeGreaterThan(0)
    expect(company.webhooks).toEqual([])
  }

  const findCompany = append.split('\n\n')[0] ?? ''
  const stream = shell(`${findCompany}\ntimeout 280 ${subscribe.trim()} | head -n 6`)
  // The subscription sees records from its start on: append until it has seen one.
  let seen = ''
  const done = stream.then(({ stdout }) => (seen = stdout))
  await expect
    .poll(
      async () => {
        const appended = JSON.parse((await shell(append)).stdout)
        expect(appended.errors).toBeUndefined()
        expect(appended.data.appendRecords.records[0].version).toBeGreaterThan(0)
        return seen
      },
      { timeout: 300_000, interval: 500 },
    )
    .toContain('invoice.issued')
  await done
  expect(seen).toContain('"name":"Apple Inc."')
  expect(seen).toContain('"cursor"')
})

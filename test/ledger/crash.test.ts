import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { startEmbeddedPostgres } from '../../app/embedded/postgres.ts'
import { newCompanyId } from '../../core/ids.ts'
import { silentLogger } from '../../core/log.ts'
import { createLedger } from '../../ledger/ledger.ts'
import { verifyStored } from '../../ledger/verify-stored.ts'
import { createStore } from '../../store/create-store.ts'
import { record } from './world.ts'
import { patientPool } from '../support/patient-pool.ts'

/** How often something is killed; every other time it is Postgres. */
const rounds = Number(process.env['KILL_ROUNDS'] ?? 2)
const writer = fileURLToPath(new URL('crash-writer.ts', import.meta.url))

test(
  'killed at any moment, process or Postgres, every acknowledged append is there once and whole, and the ledger verifies',
  { timeout: 600_000 + rounds * 60_000 },
  async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'ledgerway-crash-'))
    try {
      await using servers = await startEmbeddedPostgres({
        dataDir,
        shardCount: 1,
        replica: false,
        logger: silentLogger,
      })
      const { primaryUrl = '' } = servers.shards[0] ?? {}
      await using store = await createStore({
        shards: servers.shards,
        catalogUrl: servers.catalogUrl,
        pool: patientPool('low-latency'),
        deployment: 'crash',
        logger: silentLogger,
      })
      const companyId = newCompanyId()
      await createLedger({ store }).change(companyId, async () => ({ value: null, records: [record()] }))

      const acknowledged: string[] = []
      const reachable = () =>
        Promise.all([store.catalog`select 1`, store.onPrimary(store.shardOf(companyId), (sql) => sql`select 1`)]).then(
          () => true,
          () => false,
        )
      for (let round = 0; round < rounds; round++) {
        // Answers from before the kill may have been enough for the last round to end while the server was still down.
        await expect.poll(reachable).toBe(true)
        const child = spawn(process.execPath, [writer, primaryUrl, servers.catalogUrl, companyId, String(round)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const exited = once(child, 'exit')
        const lines = createInterface({ input: child.stdout })
        const answered: string[] = []
        lines.on('line', (line) => {
          if (line.endsWith('.')) answered.push(line.slice(0, -1))
        })
        const until = (count: number) => expect.poll(() => answered.length).toBeGreaterThan(count)
        await until(8)
        // A random moment is the point here, not something waited for.
        await sleep(Math.random() * 300)
        if (round % 2 === 1) {
          const pid = Number(
            readFileSync(join(dataDir, 'postgres', 'shard-1', 'postmaster.pid'), 'utf8').split('\n')[0],
          )
          process.kill(pid, 'SIGKILL')
          // Once the server is back, the writers go on where they were.
          await until(answered.length + 16)
        }
        const closed = once(lines, 'close')
        child.kill('SIGKILL')
        await exited
        await closed
        acknowledged.push(...answered.slice(1))
      }

      await expect.poll(reachable).toBe(true)
      // One statement for both: what a killed writer had sent may still commit between two.
      const rows = await store.onPrimary(
        store.shardOf(companyId),
        (sql) => sql<{ stream: string; keys: string[]; batches: number; span: number; size: number }[]>`
          select stream, array_agg(key order by position) as keys, count(distinct batch_id)::integer as batches,
            (max(position) - min(position))::integer as span,
            (select size::integer from ledger_heads where company_id = ${companyId}) as size
          from ledger_records where company_id = ${companyId} and kind = 'crash.tested' group by stream`,
      )
      for (const row of rows) {
        expect(row).toEqual({ ...row, keys: [0, 1, 2].map((i) => `${row.stream}/${i}`), batches: 1, span: 2 })
      }
      const there = new Set(rows.map(({ stream }) => stream))
      expect(acknowledged.filter((name) => !there.has(name))).toEqual([])
      expect(new Set(acknowledged).size).toBe(acknowledged.length)
      expect(rows[0]?.size).toBe(1 + 3 * rows.length)
      expect((await verifyStored({ store }, companyId)).firstBreak).toBeNull()
    } finally {
      rmSync(dataDir, { recursive: true, force: true })
    }
  },
)

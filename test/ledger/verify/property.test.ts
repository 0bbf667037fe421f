import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { runVerify } from '../../../ledger/verify/command.ts'
import { bundleOf, checkpointOf, lineOf, testKey, textOf, type TestJson, type TestRecord } from '../bundle-generator.ts'

const folder = mkdtempSync(join(tmpdir(), 'verify-property-'))
afterAll(() => rmSync(folder, { recursive: true }))

const origin = 'demo/acme'
const key = testKey()

async function verify(text: string, since: string): Promise<{ code: number; out: string }> {
  const bundle = join(folder, 'bundle')
  const older = join(folder, 'older')
  writeFileSync(bundle, text)
  writeFileSync(older, since)
  let out = ''
  const io = { out: (line: string) => (out += line), err: (line: string) => (out += line) }
  const argv = [bundle, '--vkey', key.vkey(origin), '--origin', origin, '--since', older]
  return { code: await runVerify(argv, io), out }
}

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' })).filter((value) => !value.includes('\0'))
const number = fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, min: -9e15, max: 9e15 }))
const { object } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, text, number, fc.boolean(), fc.constant(null), tie('list'), tie('object')),
  list: fc.array(tie('value'), { maxLength: 3 }),
  object: fc
    .uniqueArray(fc.tuple(fc.oneof(text, fc.nat(20).map(String)), tie('value')), {
      maxLength: 4,
      selector: ([name]) => name,
    })
    .map((entries) => Object.fromEntries(entries)),
}))
const payload = object as fc.Arbitrary<TestJson>

/** A step of a ledger's life: a record, or the erasure of an earlier one. */
const steps = fc.array(
  fc.record({
    erase: fc.option(fc.nat(), { freq: 4 }),
    part: fc.boolean(),
    stream: fc.oneof(fc.constantFrom('a', 'b'), text),
    source: text,
    data: payload,
    private: fc.option(payload),
    more: fc.record({ actor: text, causation: text, key: text }, { requiredKeys: [] }),
    laterMs: fc.nat(100_000_000),
  }),
  { minLength: 1, maxLength: 12 },
)

function ledgerOf(life: typeof steps extends fc.Arbitrary<infer T> ? T : never): TestRecord[] {
  const versions = new Map<string, number>()
  const records: TestRecord[] = []
  let timeMs = Date.UTC(2026, 0, 1)
  for (const [position, step] of life.entries()) {
    timeMs += step.laterMs
    const version = (versions.get(step.stream) ?? 0) + 1
    versions.set(step.stream, version)
    const header = {
      ...step.more,
      kind: 'any',
      source: step.source,
      stream: step.stream,
      version,
      recordedAt: new Date(timeMs).toISOString(),
    }
    const erasable = records.findIndex((record, i) => i >= (step.erase ?? 0) % position && record.header.kind === 'any')
    const erased = step.erase === null ? undefined : records[erasable]
    if (erased === undefined) {
      records.push({ header, data: step.data, ...(step.private && { private: step.private }) })
      continue
    }
    erased.withoutPrivate = true
    if (!step.part) erased.withoutData = true
    const data = step.part ? { part: 'private', position: erasable } : { position: erasable }
    records.push({ header: { ...header, kind: 'ledger.erased' }, data })
  }
  return records
}

test('any ledger that keeps the format verifies, and with any of its lines changed or gone it does not', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), fc.nat(), async (life, at, cut) => {
      const lines = ledgerOf(life).map(lineOf)
      const bundle = bundleOf(origin, lines, key)
      const since = checkpointOf(origin, lines.slice(0, cut % (lines.length + 1)), [key])
      expect(await verify(textOf(bundle), since)).toMatchObject({ code: 0 })

      const index = at % lines.length
      const line = lines[index]!
      for (const changed of [
        lines.toSpliced(index, 1),
        lines.toSpliced(index, 0, line),
        lines.with(index, { ...line, header: line.header.replace('"source":"', '"source":"x') }),
        lines.with(index, { ...line, data: '{"changed":true}' }),
        lines.with(index, { ...line, salt: line.dataCommitment }),
        lines.with(index, { ...line, dataCommitment: Buffer.alloc(32, 1).toString('base64') }),
        lines.with(index, { ...line, privateCommitment: Buffer.alloc(32, 1).toString('base64') }),
      ]) {
        expect(await verify(textOf({ ...bundle, lines: changed }), since)).toMatchObject({ code: 1 })
      }
      // The same change signed truly is another history: whoever kept a checkpoint from after the record sees it.
      const rewritten = lines.with(index, { ...line, header: line.header.replace('"source":"', '"source":"x') })
      const kept = checkpointOf(origin, lines.slice(0, index + 1), [key])
      expect(await verify(textOf(bundleOf(origin, rewritten, key)), kept)).toMatchObject({ code: 1 })
    }),
    { numRuns: 30 },
  )
})

import {
  bundleOf,
  checkpointOf,
  leavesOf,
  lineOf,
  rootOf,
  sha256,
  testKey,
  textOf,
  type TestJson,
  type TestRecord,
} from './bundle-generator.ts'

/** The small ledger of `docs/examples/`, from fixed salts and a fixed key, by the generator that knows only the format. */
export function exampleFiles(): Record<string, string> {
  const origin = 'demo/acme'
  const key = testKey(sha256('the key of the example'))
  const lines = exampleRecords().map(lineOf)
  const leaves = leavesOf(origin, lines)
  const bundle = bundleOf(origin, lines, key)
  const index = 1
  const previous = leaves[index - 1] ?? Buffer.alloc(32)
  const line = lines[index]!
  const none = Buffer.alloc(32).toString('base64')
  const entry = `ledgerway-entry/v1\n${origin}\n${index}\n${previous.toString('base64')}\n${sha256(line.header).toString('base64')}\n${line.dataCommitment}\n${line.privateCommitment ?? none}\n`
  // The sibling of leaf 1 is leaf 0; then come the subtrees to the right, smaller before larger.
  const path = [leaves[0]!, rootOf(leaves.slice(2, 4)), rootOf(leaves.slice(4))]
  const proof = [
    'c2sp.org/tlog-proof@v1',
    `extra ${Buffer.from(entry).toString('base64')}`,
    `index ${index}`,
    ...path.map((hash) => hash.toString('base64')),
    '',
    bundle.head.checkpoint,
  ]
  return {
    'bundle.ndjson': textOf(bundle),
    'older.checkpoint': checkpointOf(origin, lines.slice(0, 3), [key]),
    'record-1.tlog-proof': proof.join('\n'),
    vkey: `${key.vkey(origin)}\n`,
  }
}

function exampleRecords(): TestRecord[] {
  const header = (minute: number, stream: string, version: number, more: TestJson = {}): TestJson => {
    const recordedAt = `2026-11-21T08:0${minute}:00.000Z`
    return { kind: 'order.placed', source: 'shop', stream, version, recordedAt, ...more }
  }
  return [
    { header: header(0, 'company', 1, { kind: 'company.created', source: 'ledgerway' }), data: { name: 'Acme' } },
    {
      header: header(1, 'order/1', 1, { actor: 'key:7', key: 'order-1', occurredAt: '2026-11-20T17:30:00.000Z' }),
      data: { amount: '120.50', currency: 'EUR' },
      private: { name: 'Ada Lovelace' },
    },
    { header: header(2, 'order/2', 1), data: { note: 'ring at Eve’s' }, withoutData: true },
    { header: header(3, 'order/1', 2, { kind: 'order.shipped', causation: 'acme:1' }), data: {} },
    { header: header(4, 'erasures', 1, { kind: 'ledger.erased', source: 'ledgerway' }), data: { position: 2 } },
  ]
}

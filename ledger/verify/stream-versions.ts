import { sha256 } from '../../core/sha256.ts'

const exactStreams = 50_000

/**
 * The last version of every stream of a ledger. Names are kept as they are up to 50,000 streams; beyond, as 128 bits of
 * their SHA-256 in one flat table (40 bytes a stream at most), so that a ledger with a stream a record fits as well.
 */
export class StreamVersions {
  /** An object a stream, so that a step is one look-up. */
  readonly #names = new Map<string, { version: number }>()
  #table: HashTable | undefined

  /** Records that `stream` now has `version`; answers whether that is the one after its last. */
  advance(stream: string, version: number): boolean {
    if (this.#table !== undefined) {
      const key = sha256(stream)
      if (version !== this.#table.get(key) + 1) return false
      this.#table.set(key, version)
      return true
    }
    const known = this.#names.get(stream)
    if (version !== (known?.version ?? 0) + 1) return false
    if (known !== undefined) {
      known.version = version
      return true
    }
    // A copy: text cut out of a line would keep the whole line in memory.
    this.#names.set(Buffer.from(stream, 'utf8').toString('utf8'), { version })
    if (this.#names.size > exactStreams) this.#spill()
    return true
  }

  #spill(): void {
    this.#table = new HashTable(1 << 17)
    for (const [name, { version }] of this.#names) this.#table.set(sha256(name), version)
    this.#names.clear()
  }
}

/** Open addressing with linear probing, at most half full. Keys are uniformly distributed hashes. */
class HashTable {
  #slots: number
  #keys: Uint32Array
  #versions: Float64Array
  #count = 0

  constructor(slots: number) {
    this.#slots = slots
    this.#keys = new Uint32Array(slots * 4)
    this.#versions = new Float64Array(slots)
  }

  get(key: Buffer): number {
    return this.#versions[this.#slotOf(words(key))] ?? 0
  }

  set(key: Buffer, version: number): void {
    if (this.#count * 2 >= this.#slots) this.#grow()
    this.#put(words(key), version)
  }

  #put(key: Words, version: number): void {
    const slot = this.#slotOf(key)
    if (this.#versions[slot] === 0) this.#count++
    this.#keys.set(key, slot * 4)
    this.#versions[slot] = version
  }

  /** The key's slot, or the free one where it belongs. A version of 0 marks a free slot. */
  #slotOf(key: Words): number {
    let slot = key[0] % this.#slots
    while (this.#versions[slot] !== 0 && !this.#holds(slot * 4, key)) slot = (slot + 1) % this.#slots
    return slot
  }

  #holds(at: number, key: Words): boolean {
    const keys = this.#keys
    return keys[at] === key[0] && keys[at + 1] === key[1] && keys[at + 2] === key[2] && keys[at + 3] === key[3]
  }

  #grow(): void {
    const keys = this.#keys
    const versions = this.#versions
    this.#slots *= 2
    this.#keys = new Uint32Array(this.#slots * 4)
    this.#versions = new Float64Array(this.#slots)
    this.#count = 0
    for (const [slot, version] of versions.entries()) {
      if (version === 0) continue
      const at = slot * 4
      this.#put([keys[at] ?? 0, keys[at + 1] ?? 0, keys[at + 2] ?? 0, keys[at + 3] ?? 0], version)
    }
  }
}

type Words = readonly [number, number, number, number]

const words = (key: Buffer): Words => [
  key.readUInt32LE(0),
  key.readUInt32LE(4),
  key.readUInt32LE(8),
  key.readUInt32LE(12),
]

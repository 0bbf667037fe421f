import { hash } from 'node:crypto'

/** Where a node's prefix and its two hashes go, for every node of every tree: hashing is synchronous. */
const input = Buffer.of(1, ...Buffer.alloc(64))

/**
 * The right border of RFC 6962's tree, as `createCompactRange` keeps it, in base64: a record's leaf is needed as that text
 * for the next entry anyway, and a hash as a text costs the engine half of one as bytes.
 */
export class Tree {
  readonly #border: string[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  append(leaf: string): void {
    let node = leaf
    // One completed subtree for every trailing one bit.
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) node = nodeOf(this.#border.pop() ?? '', node)
    this.#border.push(node)
    this.#size++
  }

  root(): string {
    if (this.#size === 0) return hash('sha256', '', 'base64')
    return this.#border.reduceRight((right, left) => nodeOf(left, right))
  }
}

function nodeOf(left: string, right: string): string {
  input.write(left, 1, 'base64')
  input.write(right, 33, 'base64')
  return hash('sha256', input, 'base64')
}

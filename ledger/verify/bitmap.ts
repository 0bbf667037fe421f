/** A set of positions, one bit each: a million records cost 125 kB, however many of them are in it. */
export class Bitmap {
  #bytes = new Uint8Array(64)

  add(position: number): void {
    const byte = Math.floor(position / 8)
    if (byte >= this.#bytes.length) {
      const larger = new Uint8Array(Math.max(byte + 1, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes[byte] = (this.#bytes[byte] ?? 0) | (1 << (position % 8))
  }

  has(position: number): boolean {
    return ((this.#bytes[Math.floor(position / 8)] ?? 0) & (1 << (position % 8))) !== 0
  }

  /** The smallest position that is in this set and for which `other` says no. */
  firstWithout(explained: (position: number) => boolean): number | undefined {
    for (const [index, byte] of this.#bytes.entries()) {
      for (let bit = 0; byte >> bit !== 0; bit++) {
        const position = index * 8 + bit
        if ((byte & (1 << bit)) !== 0 && !explained(position)) return position
      }
    }
    return undefined
  }
}

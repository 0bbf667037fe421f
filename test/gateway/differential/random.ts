/** A small deterministic generator (mulberry32): a failing case is told by its seed and comes again with it. */
export interface Random {
  /** 0 <= n < bound */
  below(bound: number): number
  chance(share: number): boolean
  pick<T>(items: readonly T[]): T
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    below: (bound) => Math.floor(next() * bound),
    chance: (share) => next() < share,
    pick(items) {
      const item = items[Math.floor(next() * items.length)]
      if (item === undefined) throw new Error('nothing to pick from')
      return item
    },
  }
}

/** The same number for the same text, always: data and faults are functions of where they are. */
export function hash(text: string): number {
  let value = 2_166_136_261
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 16_777_619)
  return (value ^ (value >>> 13)) >>> 0
}

/**
 * How values travel, for every client of the store. `bigint` is a number, and one that a double cannot hold is an error
 * rather than a neighbour of itself; `json` and `jsonb` stay the text they are in both directions, since parsing would
 * change numbers; a parameter for them may be text or a value.
 */
export const valueTypes = {
  bigint: {
    to: 20,
    from: [20],
    serialize: (value: number | bigint | string) => String(value),
    parse(text: string): number {
      const value = Number(text)
      if (!Number.isSafeInteger(value)) throw new RangeError('a bigint column holds a value beyond 2^53')
      return value
    },
  },
  json: {
    to: 114,
    from: [114, 3802],
    serialize: (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)),
    parse: (text: string) => text,
  },
}

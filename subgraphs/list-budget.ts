import { listTooLong } from '../core/errors.ts'

/**
 * Items of all lists of one operation in one subgraph together, as many as are asked for. Each list has its own limit, but
 * lists in lists multiply: a hundred of a hundred of a hundred would occupy the process for minutes.
 */
const maxItems = 100_000

export interface ListBudget {
  /** Before a list is read or given out: how many items it may have. @throws AppError LIST_TOO_LONG where that is too much */
  reserve(items: number): void
  /** Whether a list may be read before its field asks for it; the field reserves it all the same. */
  readAhead(items: number): boolean
}

export function createListBudget(): ListBudget {
  let reserved = 0
  let ahead = 0
  return {
    reserve(items) {
      if (reserved + items > maxItems) {
        throw listTooLong(
          `The lists of one operation have at most ${maxItems} items together. Ask for fewer of each.`,
          maxItems,
        )
      }
      reserved += items
    },
    readAhead(items) {
      if (ahead + items > maxItems) return false
      ahead += items
      return true
    },
  }
}

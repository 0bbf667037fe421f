import type { GraphQLError } from 'graphql'
import { type AppError, listTooLong } from '../core/errors.ts'

/**
 * Items of all lists of one operation in one subgraph together, as many as are asked for. Each list has its own limit, but
 * lists in lists multiply: a hundred of a hundred of a hundred would occupy the process for minutes.
 */
const maxItems = 100_000
/** Refused lists that have an error of their own: thousands may be refused, all for this one reason. */
const maxNamed = 10

export interface ListBudget {
  /** Before a list is read or given out: how many items it may have. @throws AppError LIST_TOO_LONG where that is too much */
  reserve(items: number): void
  /** Whether a list may be read before its field asks for it; the field reserves it all the same. */
  readAhead(items: number): boolean
  /** Of an answer's errors those that are told: of refused lists the first few, for the others are null for the same reason. */
  named(errors: readonly GraphQLError[]): readonly GraphQLError[]
}

export function createListBudget(): ListBudget {
  let reserved = 0
  let ahead = 0
  /** One for all, by which they are known. */
  let refusal: AppError | undefined
  return {
    reserve(items) {
      if (reserved + items > maxItems) {
        refusal ??= listTooLong(
          `The lists of one operation have at most ${maxItems} items together. Ask for fewer of each. (At most ${maxNamed} of the lists that were refused are named.)`,
          maxItems,
        )
        throw refusal
      }
      reserved += items
    },
    readAhead(items) {
      if (ahead + items > maxItems) return false
      ahead += items
      return true
    },
    named(errors) {
      if (refusal === undefined) return errors
      let refused = 0
      return errors.filter(({ originalError }) => originalError !== refusal || ++refused <= maxNamed)
    },
  }
}

import { AppError } from '../core/errors.ts'

/** How many of a thing there are at once, in all and per holder. Refusing early keeps what was admitted fast. */
export interface Admission {
  /** @throws AppError OVERLOADED where the process is full, RATE_LIMITED where this holder has its share */
  enter(holder: string): Disposable
  readonly count: number
}

/** @param what in the plural, as the refusal names it */
export function createAdmission(what: string, limit: number, limitPerHolder: number): Admission {
  const perHolder = new Map<string, number>()
  let count = 0
  return {
    get count() {
      return count
    },
    enter(holder) {
      if (count >= limit) throw new AppError('OVERLOADED', `The server has too many ${what} open. Try again shortly.`)
      const held = perHolder.get(holder) ?? 0
      if (held >= limitPerHolder) {
        throw new AppError(
          'RATE_LIMITED',
          `This key has too many ${what} open at once; the limit is ${limitPerHolder}.`,
          {
            details: { limit: limitPerHolder, retryAfterMs: 1000 },
          },
        )
      }
      count += 1
      perHolder.set(holder, held + 1)
      let left = false
      return {
        [Symbol.dispose]() {
          if (left) return
          left = true
          count -= 1
          const now = (perHolder.get(holder) ?? 1) - 1
          if (now === 0) perHolder.delete(holder)
          else perHolder.set(holder, now)
        },
      }
    },
  }
}

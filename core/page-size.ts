import { AppError, listTooLong } from './errors.ts'

/**
 * How many entries a page is to hold: one rule for every list. Nothing given is `fallback`; 0 is an empty page, which still
 * tells whether there is more. @throws AppError LIST_TOO_LONG | BAD_USER_INPUT
 */
export function pageSize(
  given: number | null | undefined,
  { name = 'first', fallback = 20, most = 100 }: { name?: string; fallback?: number; most?: number } = {},
): number {
  const size = given ?? fallback
  if (!Number.isSafeInteger(size) || size < 0) throw new AppError('BAD_USER_INPUT', `${name}: a whole number from 0`)
  if (size > most) throw listTooLong(`${name}: at most ${most}`, most)
  return size
}

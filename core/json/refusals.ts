import { AppError } from '../errors.ts'

/** What is wrong, and what to do about it: in the same words however the JSON came (text, value or GraphQL literal). */
const wordings = {
  JSON_DUPLICATE_KEY: ['An object has the same key twice', 'keep one of the two'],
  JSON_LONE_SURROGATE: ['A string holds half of a surrogate pair', 'send both halves, or U+FFFD in its place'],
  JSON_NUL_CHARACTER: ['A string holds the character U+0000', 'leave it out, or send binary data as base64'],
} as const

/** @param place what locates it besides the path: a byte offset in JSON, line and column in a GraphQL document */
export function jsonRefusal(code: keyof typeof wordings, path: string, place: Place = {}): AppError {
  const [what, instead] = wordings[code]
  return refused(code, what, instead, path, place)
}

export function tooDeep(maxDepth: number, path: string, place: Place = {}): AppError {
  const what = `Objects and arrays are nested more than ${maxDepth} deep`
  return refused('JSON_TOO_DEEP', what, 'nest them less, or send the inner part as a string', path, place)
}

export type Place = { readonly offset?: number } | { readonly line: number; readonly column: number }

function refused(
  code: keyof typeof wordings | 'JSON_TOO_DEEP',
  what: string,
  instead: string,
  path: string,
  place: Place,
): AppError {
  return new AppError(code, `${what} (at ${path}${placeText(place)}); ${instead}.`, { details: { path, ...place } })
}

/** How a place is added to a path in a message. */
function placeText(place: Place): string {
  if ('line' in place) return `, line ${place.line}`
  return place.offset === undefined ? '' : `, byte ${place.offset}`
}

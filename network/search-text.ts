/**
 * Text as search and order see it: without case and diacritics, so that `muller` finds `Müller` and listings do not put
 * all capitals first. Done here and not in SQL, so that every shard agrees whatever its server's locale is.
 */
export function fold(text: string): string {
  return (
    text
      .normalize('NFKD')
      .replaceAll(/\p{M}+/gu, '')
      // Up, then down: so that `ß` is `ss`.
      .toUpperCase()
      .toLowerCase()
  )
}

/** Runs of letters and digits, each apart: `BRK.B` is `brk` and `b`. */
function words(text: string): string[] {
  return fold(text).match(/[\p{L}\p{N}]+/gu) ?? []
}

type Weight = 'A' | 'B' | 'C' | 'D'

const maxLexemes = 256
const maxLexemeLength = 128
const maxQueryWords = 8

/** A literal for `::tsvector`. Lexemes hold letters and digits only, so that quoting them needs no escape. */
export function searchVector(parts: readonly { text: string; weight: Weight }[]): string {
  const lexemes: string[] = []
  for (const { text, weight } of parts) {
    for (const word of words(text)) {
      if (lexemes.length === maxLexemes) break
      lexemes.push(`'${word.slice(0, maxLexemeLength)}':${lexemes.length + 1}${weight}`)
    }
  }
  return lexemes.join(' ')
}

/** The same words as literals for `::tsquery`, all needed: as prefixes (what matches) and whole (what ranks higher). */
export function searchQuery(text: string): { prefix: string; exact: string } | null {
  const found = words(text)
    .slice(0, maxQueryWords)
    .map((word) => `'${word.slice(0, maxLexemeLength)}'`)
  if (found.length === 0) return null
  return { prefix: found.map((word) => `${word}:*`).join(' & '), exact: found.join(' & ') }
}

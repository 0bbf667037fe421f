/** A large answer's text, made slice by slice with everybody else's turn in between. */
import { createTurns } from '../../core/turns.ts'

const pieceCharacters = 64 * 1024

/** The text in pieces of about one size. Rejects with the signal's reason when nobody waits for it any more. */
export async function inTurns(slices: Iterable<string>, signal: AbortSignal): Promise<string[]> {
  const turns = createTurns(signal)
  const pieces: string[] = []
  let piece = ''
  for (const slice of slices) {
    piece += slice
    if (piece.length >= pieceCharacters) {
      pieces.push(piece)
      piece = ''
    }
    if (turns.isDue()) await turns.next()
  }
  return [...pieces, piece]
}

/**
 * Work that is done bit by bit, with everybody else's turn in between: the event loop is not held for long by one large
 * answer, whatever its size.
 */
import { setImmediate as turn } from 'node:timers/promises'

/** How long one turn may take before others get theirs. */
const turnMs = 5
/** Of the pieces that come out. */
const pieceCharacters = 64 * 1024

/** The text in pieces of about one size. Ends with the signal's reason when nobody waits for it any more. */
export async function inTurns(slices: Iterable<string>, signal: AbortSignal): Promise<string[]> {
  const pieces: string[] = []
  let piece = ''
  let sinceMs = performance.now()
  for (const slice of slices) {
    piece += slice
    if (piece.length >= pieceCharacters) {
      pieces.push(piece)
      piece = ''
    }
    if (performance.now() - sinceMs < turnMs) continue
    await turn()
    signal.throwIfAborted()
    sinceMs = performance.now()
  }
  return [...pieces, piece]
}

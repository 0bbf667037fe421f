import { hash } from 'node:crypto'

/**
 * SHA-256 of bytes, or of a text's UTF-8. By way of a string of bytes, which the engine hands over in half the time that a
 * Buffer with memory of its own takes; for messages as short as a record's, that is most of the cost.
 */
export function sha256(data: string | Uint8Array): Buffer {
  return Buffer.from(hash('sha256', data, 'binary'), 'latin1')
}

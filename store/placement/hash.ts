import { hash } from 'node:crypto'

/** 32 well-mixed bits that are the same everywhere and for good. */
export function hash32(text: string): number {
  return hash('sha256', text, 'buffer').readUInt32BE(0)
}

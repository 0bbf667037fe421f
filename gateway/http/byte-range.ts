/** The bytes of a file that are asked for; `end` is not among them. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * RFC 9110 section 14: one range of bytes. Everything that may be ignored is, and answered with the whole file: several
 * ranges, other units, ranges that are none, and any range for a file that is no longer the one `If-Range` names.
 * @param file its strong entity tag, and its length
 */
export function byteRange(
  headers: { readonly range?: string | undefined; readonly 'if-range'?: string | string[] | undefined },
  file: { readonly etag: string; readonly bytes: number },
): ByteRange | 'whole' | 'unsatisfiable' {
  const [found, first = '', last = ''] = /^bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*$/i.exec(headers.range ?? '') ?? []
  if (found === undefined || (first === '' && last === '')) return 'whole'
  if (headers['if-range'] !== undefined && headers['if-range'] !== file.etag) return 'whole'
  if (first === '') {
    const length = Math.min(Number(last), file.bytes)
    return length === 0 ? 'unsatisfiable' : { start: file.bytes - length, end: file.bytes }
  }
  const start = Number(first)
  if (last !== '' && Number(last) < start) return 'whole'
  if (start >= file.bytes) return 'unsatisfiable'
  return { start, end: last === '' ? file.bytes : Math.min(Number(last) + 1, file.bytes) }
}

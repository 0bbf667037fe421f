import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { createFileProgress } from '../../app/cli/file-progress.ts'

/** As much of a terminal as a bar looks at. */
function screen(isTTY: boolean) {
  let shown = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      shown += chunk.toString()
      done()
    },
  })
  Object.assign(stream, { isTTY, columns: 120, cursorTo() {}, clearLine() {}, moveCursor() {} })
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => shown }
}

test('on a terminal each file has a bar that is full when it is read', () => {
  const { stream, text } = screen(true)
  {
    using progress = createFileProgress('verify', stream)
    progress.update('a.ndjson', 10, 10)
    progress.update('b.ndjson', 1, 4)
    progress.update('b.ndjson', 4, 4)
  }
  const shown = text()
  for (const file of ['a.ndjson', 'b.ndjson']) expect(shown).toContain(`verify ${file} [`)
  expect(shown.match(/100%/g)?.length).toBeGreaterThanOrEqual(2)
})

test('elsewhere nothing is written: the report is enough', () => {
  const { stream, text } = screen(false)
  {
    using progress = createFileProgress('verify', stream)
    progress.update('a.ndjson', 10, 10)
  }
  expect(text()).toBe('')
})

import { createProgress, type Progress } from '../import/progress.ts'

/** One bar after the other, for files that are read one after the other. On a terminal only: elsewhere the report is enough. */
export function createFileProgress(
  label: string,
  out: NodeJS.WriteStream,
): { update(file: string, done: number, total: number): void; stop(): void } & Disposable {
  let current: { file: string; bar: Progress } | undefined
  const stop = (): void => {
    current?.bar.stop()
    current = undefined
  }
  return {
    update(file, done, total) {
      if (!out.isTTY) return
      if (current?.file !== file) {
        stop()
        current = { file, bar: createProgress(`${label} ${file}`, total, out) }
      }
      current.bar.update(done)
    },
    stop,
    [Symbol.dispose]: stop,
  }
}

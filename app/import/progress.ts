import { SingleBar } from 'cli-progress'

export interface Progress {
  update(done: number): void
  stop(): void
}

/** A bar on a terminal; elsewhere a plain line whenever another tenth is done. */
export function createProgress(label: string, total: number, out: NodeJS.WriteStream): Progress {
  if (out.isTTY) {
    const bar = new SingleBar({ format: `${label} [{bar}] {percentage}% | {eta}s left`, stream: out, hideCursor: true })
    bar.start(total, 0)
    return { update: (done) => bar.update(done), stop: () => bar.stop() }
  }
  let tenth = 0
  return {
    update(done) {
      const reached = total === 0 ? 10 : Math.floor((done / total) * 10)
      if (reached > tenth) out.write(`${label} ${reached * 10} %\n`)
      tenth = Math.max(tenth, reached)
    },
    stop() {},
  }
}

import { setTimeout } from 'node:timers/promises'

/** Waits for a condition. Fails with what was last seen when it does not come true in time. */
export async function until(condition: () => unknown, limitMs = 90_000): Promise<void> {
  const end = Date.now() + limitMs
  for (;;) {
    const seen = await condition()
    if (seen === true) return
    if (Date.now() > end) throw new Error(`did not come true within ${limitMs} ms; last seen: ${String(seen)}`)
    await setTimeout(10)
  }
}

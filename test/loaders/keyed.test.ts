import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createLoader } from '../../loaders/keyed.ts'

test.each([true, false])(
  'what nobody waits for any more may fail, and the process goes on (batching: %s)',
  async (batching) => {
    const unheard: unknown[] = []
    const hear = (reason: unknown) => unheard.push(reason)
    process.on('unhandledRejection', hear)
    try {
      const loader = createLoader<string, string>({ batching }, String, (keys) =>
        Promise.resolve(keys.map(() => new Error('the request is over'))),
      )
      void loader.load('left alone')
      await expect(loader.load('waited for')).rejects.toThrow('the request is over')
      // Node tells of unheard rejections when a turn of its loop ends.
      await setImmediate()
      await setImmediate()
      expect(unheard).toEqual([])
    } finally {
      process.off('unhandledRejection', hear)
    }
  },
)

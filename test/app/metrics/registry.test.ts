import { expect, test } from 'vitest'
import { createMetricsRegistry } from '../../../app/metrics/registry.ts'

const definition = (name: string) => ({ type: 'gauge', name, help: 'A test.', labels: ['of'] }) as const

test('a part that does not answer is left out of the page, asked once, and there again when it answers', async () => {
  const metrics = createMetricsRegistry()
  let asked = 0
  let answer = Promise.withResolvers<readonly [{ of: string }, number][]>()
  metrics.observed(definition('hanging'), () => {
    asked += 1
    return answer.promise
  })
  metrics.observed(definition('answering'), () => [[{ of: 'a' }, 7]])
  for (let look = 0; look < 3; look += 1) {
    const page = await metrics.text()
    expect(page).toMatch(/^answering\{of="a"\} 7$/m)
    expect(page).not.toMatch(/^hanging\{/m)
  }
  expect(asked).toBe(1)
  expect(await metrics.text()).toContain('ledgerway_metrics_failed_total{metric="hanging"} 3')
  answer.resolve([[{ of: 'a' }, 3]])
  await answer.promise
  answer = Promise.withResolvers()
  answer.resolve([[{ of: 'a' }, 5]])
  await expect.poll(() => metrics.text()).toMatch(/^hanging\{of="a"\} 5$/m)
})

test('a part that fails is left out of the page and asked anew', async () => {
  const metrics = createMetricsRegistry()
  let asked = 0
  metrics.observed(definition('failing'), () => {
    asked += 1
    throw new Error('not now')
  })
  await metrics.text()
  expect(await metrics.text()).not.toMatch(/^failing\{/m)
  expect(asked).toBe(2)
})

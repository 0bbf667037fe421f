/** Works through the items, so many at once; fails with the first failure, when nothing is under way any more. */
export async function forEachAtOnce<T>(
  items: Iterable<T>,
  maxAtOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]()
  let failed: { error: unknown } | null = null
  await Promise.all(
    Array.from({ length: maxAtOnce }, async () => {
      for (let next = queue.next(); failed === null && next.done !== true; next = queue.next()) {
        try {
          await work(next.value)
        } catch (error) {
          failed ??= { error }
        }
      }
    }),
  )
  if (failed !== null) throw (failed as { error: unknown }).error
}

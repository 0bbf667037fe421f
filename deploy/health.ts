/** `node deploy/health.ts URL`: exit code 0 if it answers with success. For health checks of images without curl. */
try {
  const answer = await fetch(process.argv[2] ?? '', { signal: AbortSignal.timeout(4_000) })
  process.exitCode = answer.ok ? 0 : 1
} catch {
  process.exitCode = 1
}

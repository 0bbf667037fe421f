const maxPathLength = 256
const plainKey = /^[A-Za-z_][A-Za-z0-9_]*$/

/** `$.records[3]["a key"]`: where in a document something was found; cut off where keys make it long. */
export function formatPath(steps: readonly (string | number)[]): string {
  let path = '$'
  for (const step of steps) {
    if (typeof step === 'number') path += `[${step}]`
    else if (plainKey.test(step)) path += `.${step}`
    else path += `[${JSON.stringify(step)}]`
    if (path.length > maxPathLength) return `${path.slice(0, maxPathLength).toWellFormed()}…`
  }
  return path
}

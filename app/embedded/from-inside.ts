/**
 * The name by which a server finds the directory it works in. On Linux it is the one it was started in, which works even
 * where its account cannot enter the folders above (root's home): postmaster, backends, initdb and Redis never leave it.
 */
export function fromInside(directory: string): string {
  return process.platform === 'linux' ? '/proc/self/cwd' : directory
}

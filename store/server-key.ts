/** `host:port/database`: what tells servers apart without their credentials. */
export function serverKey(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `${hostname}:${port === '' ? '5432' : port}${pathname}`
}

import { lookup as dnsLookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { AppError } from '../core/errors.ts'

/**
 * Addresses that are not the public internet's (IANA's special-purpose registries): reaching them would let a company read
 * what only our own network may.
 */
const special = new BlockList()
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  special.addSubnet(network, bits, 'ipv4')
}
/** Within 2000::/3, the only part of IPv6 that is routed: Teredo and the like, documentation, 6to4. */
for (const [network, bits] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  special.addSubnet(network, bits, 'ipv6')
}
const routed = new BlockList()
routed.addSubnet('2000::', 3, 'ipv6')

export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !special.check(address, 'ipv4')
  // IPv4 in IPv6 clothes (::ffff:, 64:ff9b::) lies outside 2000::/3 as well.
  return family === 6 && routed.check(address, 'ipv6') && !special.check(address, 'ipv6')
}

/** @throws AppError BAD_USER_INPUT */
export function parseWebhookUrl(text: string, options: { allowPrivate: boolean }): URL {
  const url = text.length <= 2_048 ? URL.parse(text) : null
  if (url === null) throw invalid('The webhook URL is not a URL of at most 2,048 characters.')
  if (url.username !== '' || url.password !== '') throw invalid('The webhook URL may not hold credentials.')
  if (url.hash !== '') throw invalid('The webhook URL may not hold a fragment.')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (options.allowPrivate) {
    if (url.protocol === 'https:' || url.protocol === 'http:') return url
    throw invalid('The webhook URL must be https or http.')
  }
  if (url.protocol !== 'https:') throw invalid('The webhook URL must be https.')
  if (
    isIP(host) !== 0
      ? !isPublicAddress(host)
      : !/\.[a-z0-9-]+\.?$/i.test(host) || /\.(?:local|internal|localhost)\.?$/i.test(host)
  ) {
    throw invalid('The webhook URL must name a public host.')
  }
  return url
}

/**
 * A lookup for outgoing connections that refuses names which resolve to any address that is not public. The address
 * checked is the address connected to, so a name that changes between check and use (DNS rebinding) gains nothing.
 */
export function publicLookup(resolve: typeof dnsLookup = dnsLookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) {
        callback(error, '')
        return
      }
      const [first] = addresses
      if (first === undefined || addresses.some(({ address }) => !isPublicAddress(address))) {
        callback(
          Object.assign(new Error('the name resolves to an address that is not public'), { code: 'EPRIVATE' }),
          '',
        )
        return
      }
      if (options.all === true) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
  }
}

function invalid(message: string): AppError {
  return new AppError('BAD_USER_INPUT', message, { details: { field: 'url' } })
}

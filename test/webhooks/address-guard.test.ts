import type { lookup } from 'node:dns'
import { describe, expect, test } from 'vitest'
import { isPublicAddress, parseWebhookUrl, publicLookup } from '../../webhooks/address-guard.ts'

describe('an address', () => {
  test.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.0.1',
    '2606:4700::1111',
    '2a00:1450:4001:80b::200e',
  ])('%s is public', (address) => expect(isPublicAddress(address)).toBe(true))
  test.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '198.18.0.1',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2001::1',
    'not an address',
  ])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false))
})

describe('a webhook URL in production', () => {
  test.each(['https://example.com/hook?x=1', 'https://hooks.example.co.uk:8443/a', 'https://8.8.8.8/x'])(
    '%s is taken',
    (url) => expect(parseWebhookUrl(url, { allowPrivate: false }).href).toBe(new URL(url).href),
  )
  test.each([
    'http://example.com/',
    'ftp://example.com/',
    'https://localhost/',
    'https://localhost./',
    'https://intranet/',
    'https://db.internal/',
    'https://printer.local/',
    'https://127.0.0.1/',
    // The forms that URL parsers turn into 127.0.0.1.
    'https://2130706433/',
    'https://0x7f.1/',
    'https://017700000001/',
    'https://[::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://169.254.169.254/latest/meta-data',
    'https://user:password@example.com/',
    'https://example.com/#fragment',
    'nonsense',
    `https://example.com/${'x'.repeat(2_048)}`,
  ])('%s is refused', (url) => expect(() => parseWebhookUrl(url, { allowPrivate: false })).toThrow('webhook URL'))
})

test('a webhook URL in development may be of our own network', () => {
  expect(parseWebhookUrl('http://127.0.0.1:8080/x', { allowPrivate: true }).port).toBe('8080')
  expect(() => parseWebhookUrl('file:///etc/passwd', { allowPrivate: true })).toThrow('https or http')
})

test('a name that resolves to any address of our own network is refused when the connection is made', async () => {
  const resolving = (addresses: string[]) =>
    publicLookup(((_name: string, _options: object, callback: (error: null, found: object[]) => void) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      )) as unknown as typeof lookup)
  const look = (addresses: string[], all: boolean): Promise<unknown> =>
    new Promise((resolve) =>
      resolving(addresses)('example.com', { all }, (error, address) => resolve(error?.code ?? address)),
    )
  expect(await look(['8.8.8.8'], false)).toBe('8.8.8.8')
  expect(await look(['8.8.8.8'], true)).toEqual([{ address: '8.8.8.8', family: 4 }])
  expect(await look(['8.8.8.8', '10.0.0.1'], true)).toBe('EPRIVATE')
  expect(await look(['127.0.0.1'], false)).toBe('EPRIVATE')
  expect(await look([], false)).toBe('EPRIVATE')
})

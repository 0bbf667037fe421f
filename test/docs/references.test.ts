import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Supergraph } from '@apollo/federation-internals'
import { parse, validate } from 'graphql'
import { expect, test } from 'vitest'
import { environment } from '../../app/config.ts'
import { errorCodes } from '../../core/errors.ts'
import { readSources } from '../architecture/layers.ts'
import { allPages, fencedBlocks, inlineCode, readPage, root } from './pages.ts'

const withoutBlocks = (text: string): string => text.replaceAll(/^```\w*\n[\s\S]*?^```/gm, '')

/** GitHub's names of headings. */
function anchorsOf(text: string): string[] {
  return [...withoutBlocks(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('every link within the documents leads to a file and a heading that exist', () => {
  const dead = allPages().flatMap(({ path, text }) =>
    [...withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
      if (/^https?:/.test(target)) return []
      const [file = '', anchor] = target.split('#')
      const full = file === '' ? path : join(dirname(path), file)
      if (!existsSync(join(root, full))) return [`${path}: ${target}`]
      return anchor === undefined || anchorsOf(readPage(full).text).includes(anchor) ? [] : [`${path}: ${target}`]
    }),
  )
  expect(dead).toEqual([])
})

test('every file of the repository that the documents name exists', () => {
  const folders = new Set(globSync('*/', { cwd: root }).map((name) => name.replace(/\/$/, '')))
  const missing = allPages().flatMap(({ path, text }) =>
    inlineCode(text).flatMap((code) => {
      const name = /^[\w.*{},/…-]+$/.test(code) ? code.replaceAll('…', '*') : ''
      const [folder = '', ...rest] = name.split('/')
      const ours = rest.length > 0 && (folders.has(folder) || /\.(?:ts|sql|sh|graphql)$/.test(name))
      const found = [root, join(root, dirname(path))].some((cwd) => globSync(name, { cwd }).length > 0)
      return !ours || found ? [] : [`${path}: ${code}`]
    }),
  )
  expect(missing).toEqual([])
})

/** Variables of programs around ours, and of the operating system. */
const foreignNames = ['PR_SET_PDEATHSIG', 'POSITIVE_INFINITY', 'LEDGERWAY_KEY']

test('every NAME_IN_CAPITALS of the documents is a variable, an error code or a name in the code', () => {
  const known = new Set([...Object.keys(environment), ...Object.keys(errorCodes), ...foreignNames])
  const code = [...readSources(root), readPage('package.json'), readPage('docker-compose.yml')]
    .map(({ text }) => text)
    .join('\n')
  const unknown = allPages().flatMap(({ path, text }) =>
    [...inlineCode(text), ...fencedBlocks(text)].flatMap((part) =>
      [...part.matchAll(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g)]
        .map(([name]) => name)
        .filter((name) => !known.has(name) && !new RegExp(`\\b${name}\\b`).test(code))
        .map((name) => `${path}: ${name}`),
    ),
  )
  expect(unknown).toEqual([])
})

test('every GraphQL document of the documents, and of their calls of curl, is valid against the schema', () => {
  const supergraph = Supergraph.build(readFileSync(join(root, 'schema/supergraph.graphql'), 'utf8'))
  const schema = supergraph.apiSchema().toGraphQLJSSchema()
  const inCalls = (block: string): string[] =>
    [...block.matchAll(/"query": ?("(?:[^"\\]|\\.)*")/g)].map(([, text = '""']) => JSON.parse(text) as string)
  const whole = (code: string): boolean => code.startsWith('{ ') && !code.includes('…')
  const documents = allPages().flatMap(({ path, text }) =>
    [
      ...fencedBlocks(text, 'graphql'),
      ...fencedBlocks(text, 'sh').flatMap(inCalls),
      ...inlineCode(text).filter(whole),
    ].map((document) => ({ path, document })),
  )
  expect(documents.length).toBeGreaterThan(5)
  for (const { path, document } of documents) {
    // Of a supergraph of the reader's own.
    if (path === 'docs/federation.md') continue
    const errors = validate(schema, parse(document)).map(({ message }) => message)
    expect({ path, document, errors }).toEqual({ path, document, errors: [] })
  }
})

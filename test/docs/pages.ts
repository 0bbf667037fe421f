import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Page {
  /** From the top of the repository. */
  readonly path: string
  readonly text: string
}

export function readPage(path: string): Page {
  return { path, text: readFileSync(`${root}${path}`, 'utf8') }
}

/** Everything that is written for readers. */
export function allPages(): Page[] {
  const top = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
  const docs = readdirSync(`${root}docs`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
  return [...top, ...docs].map(readPage)
}

/** The contents of fenced blocks, of one language where it is given. */
export function fencedBlocks(text: string, language?: string): string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .filter(([, found]) => language === undefined || found === language)
    .map(([, , block = '']) => block)
}

/** What stands in single backticks outside fenced blocks. */
export function inlineCode(text: string): string[] {
  const prose = text.replaceAll(/^```\w*\n[\s\S]*?^```/gm, '')
  return [...prose.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code.replaceAll(/\s+/g, ' '))
}

import { globSync, readFileSync } from 'node:fs'

export interface CodeStatement {
  readonly file: string
  /** With what is inserted into it, also by fragments of SQL, as it stands in the source. */
  readonly text: string
}

/** Everything that code tags as SQL for a shard, whole statements and fragments. */
export function sqlInCode(root: string, folders: readonly string[]): CodeStatement[] {
  return folders
    .flatMap((folder) => globSync(`${folder}/**/*.ts`, { cwd: root }))
    .flatMap((file) => taggedTemplates(readFileSync(`${root}/${file}`, 'utf8')).map((text) => ({ file, text })))
}

export function taggedTemplates(source: string): string[] {
  return [...source.matchAll(/\b(?:sql|tx)(?:<[^`]*?>)?`/g)].map((found) => {
    const start = found.index + found[0].length
    return source.slice(start, endOfTemplate(source, start))
  })
}

/** The place of the backtick that ends the template which begins at `from`; templates may stand inside `${…}`. */
function endOfTemplate(source: string, from: number): number {
  for (let at = from; at < source.length; at++) {
    if (source[at] === '\\') at += 1
    else if (source[at] === '`') return at
    else if (source.startsWith('${', at)) at = endOfInsertion(source, at + 2)
  }
  throw new Error('a template does not end')
}

function endOfInsertion(source: string, from: number): number {
  let open = 1
  for (let at = from; at < source.length; at++) {
    if (source[at] === '`') at = endOfTemplate(source, at + 1)
    else if (source[at] === '{') open += 1
    else if (source[at] === '}' && --open === 0) return at
  }
  throw new Error('an insertion does not end')
}

/** Statements on company-owned tables that do not name the company: Citus would ask every node, or refuse them. */
export function withoutCompany(
  statements: readonly CodeStatement[],
  companyTables: readonly string[],
): CodeStatement[] {
  const touches = new RegExp(`\\b(?:from|join|into|update)\\s+(?:${companyTables.join('|')})\\b`)
  return statements.filter(({ text }) => touches.test(text.toLowerCase()) && !/company_?id/i.test(text))
}

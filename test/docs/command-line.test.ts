import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { commands, overview } from '../../app/cli/commands.ts'
import { environment } from '../../app/config.ts'
import { allPages, fencedBlocks, inlineCode, readPage, root } from './pages.ts'

const loaded = new Map(
  await Promise.all(Object.entries(commands).map(async ([name, load]) => [name, await load()] as const)),
)
const flagsIn = (text: string): string[] =>
  [...text.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map(([, flag = '']) => flag)
const unique = (names: Iterable<string>): string[] => [...new Set(names)].sort()

test('the overview lists every command, and nothing that is none', () => {
  const listed = [...overview.matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name)
  expect(listed.sort()).toEqual([...loaded.keys()].sort())
})

test('the usage of each command names exactly the options that it takes, each with what it is for', () => {
  for (const [name, { usage, options }] of loaded) {
    const explained = [...usage.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag = '']) => flag)
    const synopsis = usage.slice(0, usage.indexOf('\n\n'))
    const taken = Object.keys(options).filter((option) => option !== 'help')
    expect({ name, flags: unique(flagsIn(synopsis)) }).toEqual({ name, flags: unique(taken) })
    expect({ name, explained: unique(explained) }).toEqual({ name, explained: unique(taken) })
  }
})

/** Command lines of the documents, from the program's name to the end of the line or of the code. */
function callsOf(program: RegExp): { path: string; call: string }[] {
  return allPages().flatMap(({ path, text }) => {
    const lines = fencedBlocks(text).flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'))
    return [...lines, ...inlineCode(text)].flatMap((line) => {
      const [, call] = program.exec(line) ?? []
      return call === undefined ? [] : [{ path, call }]
    })
  })
}

test('every call of the command line in the documents is one that it takes', () => {
  const calls = callsOf(/(?:^|\s)(?:npm run (?:-s )?ledgerway -- |ledgerway |app\/cli\.ts )([a-z].*)$/)
  const imports = callsOf(/npm run import -- (.*)$/).map(({ path, call }) => ({ path, call: `import ${call}` }))
  expect(calls.length + imports.length).toBeGreaterThan(10)
  for (const { path, call } of [...calls, ...imports]) {
    const [name = '', verb = ''] = call.split(' ')
    const command = loaded.get(name)
    expect({ path, call, known: command !== undefined }).toEqual({ path, call, known: true })
    const unknown = flagsIn(call).filter((flag) => !Object.hasOwn(command?.options ?? {}, flag))
    expect({ path, call, unknown }).toEqual({ path, call, unknown: [] })
    const said = /^[a-z]+$/.test(verb) ? verb : name
    expect({ path, call, usage: command?.usage }).toMatchObject({ usage: expect.stringMatching(`\\b${said}\\b`) })
  }
})

test('every flag of npm start in the documents is a variable of the configuration', () => {
  const calls = callsOf(/npm start -- (.*)$/)
  expect(calls.length).toBeGreaterThan(5)
  for (const { path, call } of calls) {
    const unknown = flagsIn(call).filter((flag) => !(flag.toUpperCase().replaceAll('-', '_') in environment))
    expect({ path, call, unknown }).toEqual({ path, call, unknown: [] })
  }
})

test('every npm script and benchmark that the documents run exists', () => {
  const { scripts } = JSON.parse(readPage('package.json').text) as { scripts: Record<string, string> }
  for (const { path, call } of callsOf(/npm run (?:-s )?([a-z]+)/)) {
    expect({ path, call, known: call in scripts }).toEqual({ path, call, known: true })
  }
  for (const { path, call } of callsOf(/npm run bench -- ([a-z-]+)/)) {
    const known = [`${root}bench/${call}.ts`, `${root}bench/${call}/main.ts`].some((file) => existsSync(file))
    expect({ path, call, known }).toEqual({ path, call, known: true })
  }
})

/**
 * Where a supergraph comes from and how changes of it are noticed. A source only brings text; whether the text is a
 * good supergraph, the gateway decides, and a bad one changes nothing.
 */
import { watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { request } from 'undici'
import type { Logger } from '../../core/log.ts'

export interface SupergraphSource {
  /** For logs and health: what it reads. */
  readonly description: string
  /** Resolves with the first text; `onChange` is told of later ones until `stop`. Rejects when there is none. */
  start(onChange: (sdl: string) => void): Promise<{ sdl: string; stop(): Promise<void> }>
}

export function textSource(sdl: string): SupergraphSource {
  return { description: 'text', start: () => Promise.resolve({ sdl, stop: () => Promise.resolve() }) }
}

export interface FileOptions {
  readonly watch: boolean
  readonly logger: Logger
  /** How often a watched file is looked at where no event tells of it. Default 2 s. */
  readonly lookAgainMs?: number
}

/**
 * A file, followed by the events of its folder, since editors and deployments replace the file instead of writing into it.
 * No event names it where it is a link to what is replaced (as in a volume of Kubernetes) or mounted alone into a
 * container: so it is looked at from time to time, too.
 */
export function fileSource(path: string, options: FileOptions): SupergraphSource {
  return {
    description: `file ${basename(path)}`,
    async start(onChange) {
      let seen = await stateOf(path)
      const sdl = await readFile(path, 'utf8')
      if (!options.watch) return { sdl, stop: () => Promise.resolve() }
      let last = sdl
      let reading = Promise.resolve()
      async function read(): Promise<void> {
        try {
          const text = await readFile(path, 'utf8')
          // A file seen empty is one being written: the end of writing is another event.
          if (text.trim() === '' || text === last) return
          last = text
          onChange(text)
        } catch (error) {
          options.logger.warn({ error }, 'The supergraph file could not be read; the last one goes on.')
        }
      }
      const watcher = watch(dirname(path), (_event, name) => {
        if (name === basename(path)) reading = reading.then(read)
      })
      const timer = setInterval(() => {
        reading = reading.then(async () => {
          const state = await stateOf(path)
          if (state === seen) return
          seen = state
          if (state !== undefined) await read()
        })
      }, options.lookAgainMs ?? 2_000)
      return {
        sdl,
        async stop() {
          watcher.close()
          clearInterval(timer)
          await reading
        },
      }
    },
  }
}

/** What differs once the file, or what it links to, is another; `undefined` while there is none. */
async function stateOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found && [found.dev, found.ino, found.size, found.mtimeNs].join()
}

export interface PolledUrl {
  readonly url: string
  readonly intervalMs: number
  readonly headers?: Readonly<Record<string, string>>
  readonly logger: Logger
}

/** Polls with `If-None-Match`, so that an unchanged supergraph costs its server nothing. */
export function urlSource({ url, intervalMs, headers = {}, logger }: PolledUrl): SupergraphSource {
  return {
    description: `url ${new URL(url).origin}`,
    async start(onChange) {
      const stopped = new AbortController()
      let etag: string | undefined
      async function load(): Promise<string | undefined> {
        const response = await request(url, {
          headers: { ...headers, ...(etag === undefined ? {} : { 'if-none-match': etag }) },
          signal: AbortSignal.any([stopped.signal, AbortSignal.timeout(30_000)]),
        })
        const text = await response.body.text()
        if (response.statusCode === 304) return undefined
        if (response.statusCode !== 200) throw new Error(`The supergraph's server answered ${response.statusCode}.`)
        const tag = response.headers.etag
        etag = Array.isArray(tag) ? tag[0] : tag
        return text
      }
      const sdl = await load()
      if (sdl === undefined) throw new Error("The supergraph's server answered 304 to a first request.")
      const polling = poll()
      async function poll(): Promise<void> {
        while (!stopped.signal.aborted) {
          await delay(intervalMs, undefined, { signal: stopped.signal }).catch(() => undefined)
          if (stopped.signal.aborted) return
          try {
            const text = await load()
            if (text !== undefined) onChange(text)
          } catch (error) {
            if (!stopped.signal.aborted)
              logger.warn({ error }, 'The supergraph could not be polled; the last one goes on.')
          }
        }
      }
      return {
        sdl,
        async stop() {
          stopped.abort()
          await polling
        },
      }
    },
  }
}

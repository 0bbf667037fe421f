import type { Logger } from '../core/log.ts'
import { fileSource, type SupergraphSource, textSource, urlSource } from '../gateway/planner/supergraph-source.ts'
import { supergraphSdl } from '../schema/sdl.ts'

const pollIntervalMs = 10_000

/** Our own supergraph, or the one that `SUPERGRAPH` names: a file, followed as it changes, or a URL, polled with its ETag. */
export function supergraphSource(location: string | undefined, logger: Logger): SupergraphSource {
  if (location === undefined) return textSource(supergraphSdl())
  if (/^https?:\/\//.test(location)) return urlSource({ url: location, intervalMs: pollIntervalMs, logger })
  return fileSource(location, { watch: true, logger })
}

import { AppError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { fileSource, type SupergraphSource, textSource, urlSource } from '../gateway/planner/supergraph-source.ts'
import { uplinkSource } from '../gateway/planner/uplink-source.ts'
import { supergraphSdl } from '../schema/sdl.ts'
import type { Config } from './config.ts'

const pollIntervalMs = 10_000

/**
 * Our own supergraph, or the one that `SUPERGRAPH` names: a file, followed as it changes; a URL, polled with its ETag; or
 * `uplink`, GraphOS' delivery by ApolloGateway. @throws AppError CONFIG_INVALID
 */
export function supergraphSource(config: Config, logger: Logger): SupergraphSource {
  const source = sourceOf(config, logger)
  return {
    ...source,
    start: async (onChange) => {
      try {
        return await source.start(onChange)
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        throw new AppError('CONFIG_INVALID', `SUPERGRAPH cannot be read: ${reason}`, { cause })
      }
    },
  }
}

function sourceOf({ supergraph, uplink }: Config, logger: Logger): SupergraphSource {
  if (supergraph === undefined) return textSource(supergraphSdl())
  if (supergraph === 'uplink') {
    const { key, graphRef, endpoints } = uplink
    if (key === undefined || graphRef === undefined) {
      throw new AppError('CONFIG_INVALID', 'SUPERGRAPH=uplink needs APOLLO_KEY and APOLLO_GRAPH_REF.')
    }
    return uplinkSource({ key, graphRef, options: endpoints === undefined ? {} : { uplinkEndpoints: [...endpoints] } })
  }
  if (/^https?:\/\//.test(supergraph)) return urlSource({ url: supergraph, intervalMs: pollIntervalMs, logger })
  return fileSource(supergraph, { watch: true, logger })
}

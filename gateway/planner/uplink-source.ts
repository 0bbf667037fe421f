/**
 * GraphOS Uplink, by ApolloGateway itself with all of its options: it fetches, retries and polls; we take the text.
 * Apart from the other sources because loading `@apollo/gateway` costs memory that nobody else should pay.
 */
import { createHash } from 'node:crypto'
import type { GatewayConfig } from '@apollo/gateway'
import type { SupergraphSource } from './supergraph-source.ts'

export interface UplinkOptions {
  readonly key: string
  /** `graph@variant` */
  readonly graphRef: string
  /** ApolloGateway's own, such as `uplinkEndpoints` and `fallbackPollIntervalInMs`. */
  readonly options?: GatewayConfig
}

export function uplinkSource({ key, graphRef, options = {} }: UplinkOptions): SupergraphSource {
  return {
    description: `uplink ${graphRef}`,
    async start(onChange) {
      const { ApolloGateway } = await import('@apollo/gateway')
      const gateway = new ApolloGateway(options)
      let first: string | undefined
      gateway.onSchemaLoadOrUpdate(({ coreSupergraphSdl }) => {
        if (first === undefined) first = coreSupergraphSdl
        else onChange(coreSupergraphSdl)
      })
      await gateway.load({ apollo: { key, graphRef, keyHash: createHash('sha512').update(key).digest('hex') } })
      if (first === undefined) throw new Error('Uplink gave no supergraph.')
      return { sdl: first, stop: () => gateway.stop() }
    },
  }
}

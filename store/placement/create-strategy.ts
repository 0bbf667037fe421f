import { z } from 'zod'
import { AppError } from '../../core/errors.ts'
import { consistentHash } from './consistent-hash.ts'
import { geographic } from './geographic.ts'
import { range } from './range.ts'
import type { Strategy } from './strategy.ts'

/** As chosen at the first start and kept in the catalog. */
export const placementConfig = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('consistent-hash'), virtualNodes: z.int().min(1).max(1000) }),
  z.strictObject({ kind: z.literal('range') }),
  z.strictObject({
    kind: z.literal('geographic'),
    virtualNodes: z.int().min(1).max(1000),
    /** The first is home to the companies whose id names no region. */
    regions: z
      .array(z.string().regex(/^[a-z0-9]{1,16}$/))
      .min(1)
      .max(64),
  }),
])

export type PlacementConfig = z.infer<typeof placementConfig>

export const defaultPlacement = { kind: 'consistent-hash', virtualNodes: 150 } as const satisfies PlacementConfig

export function createStrategy(config: PlacementConfig): Strategy {
  switch (config.kind) {
    case 'consistent-hash':
      return consistentHash(config)
    case 'range':
      return range()
    case 'geographic':
      return geographic(config)
    default:
      throw new AppError('CONFIG_INVALID', 'The placement strategy is not one of consistent-hash, range, geographic.')
  }
}

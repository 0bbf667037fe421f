import { buildSchema, execute, parse, printSchema, validate, type ExecutionResult, type GraphQLSchema } from 'graphql'
import { expect, test } from 'vitest'
import { silentLogger } from '../../../core/log.ts'
import { createFederatedGateway, type FederatedGateway } from '../../../gateway/executor/gateway.ts'
import { textSource } from '../../../gateway/planner/supergraph-source.ts'
import { composeText, localSubgraphs, requestContext } from '../executor/network.ts'
import { randomQuery } from './query.ts'
import { createRandom } from './random.ts'
import { shapedNetwork, type Entity, type ShapedNetwork } from './shapes.ts'

/**
 * Networks of shapes that Apollo's gateway does not always answer rightly, so the comparison is with the same schema and
 * data without any federation. Networks that do not compose are left out. `SHAPES_QUERIES` sets how many queries are
 * made, `SHAPES_SEED` where they start.
 */
const queryCount = Number(process.env.SHAPES_QUERIES ?? 120)
const firstSeed = Number(process.env.SHAPES_SEED ?? 1)
const queriesPerNetwork = 20

test(
  `${queryCount} random queries of shaped networks are answered as if there were no federation`,
  async () => {
    const wrong: string[] = []
    let made = 0
    let composed = 0
    let seed = firstSeed
    for (; made < queryCount; seed++) {
      const random = createRandom(seed)
      const network = shapedNetwork(random)
      const sdl = composedOrNot(network)
      if (sdl === undefined) continue
      composed += 1
      const { executor } = localSubgraphs(network.subgraphs)
      await using gateway = createFederatedGateway({ supergraph: textSource(sdl), executor, logger: silentLogger })
      await gateway.load()
      const plain = buildSchema(printSchema(gateway.schema()))
      for (let count = 0; count < queriesPerNetwork; count++) {
        const { source, variables } = randomQuery(random, gateway.schema(), 3)
        const document = parse(source)
        if (validate(gateway.schema(), document).length > 0) continue
        made += 1
        const right = await unfederated(plain, network, source, variables)
        const ours = await gateway.execute({ document, variables, context: requestContext() })
        const unexpected = (right.errors ?? []).length === 0 && (ours.errors ?? []).length > 0
        // A value that the schema does not show is found on the exact way, whose fields stand in Apollo's order.
        const text = (right.errors ?? []).length > 0 ? sortedText : JSON.stringify
        if (!unexpected && text(ours.data ?? null) === text(right.data ?? null)) continue
        wrong.push(
          `seed ${seed}, query ${count}\n${source}\n${JSON.stringify(variables)}\nours  ${JSON.stringify(ours)}\n` +
            `right ${JSON.stringify(right)}\n${planOf(gateway, source)}`,
        )
      }
    }
    expect(wrong).toEqual([])
    expect(composed).toBeGreaterThan((seed - firstSeed) / 10)
  },
  20 * 60_000,
)

function planOf(gateway: FederatedGateway, source: string): string {
  try {
    return gateway.explainPlan(source)
  } catch (error) {
    return `no plan: ${String(error)}`
  }
}

function composedOrNot({ subgraphs }: ShapedNetwork): string | undefined {
  try {
    return composeText(subgraphs)
  } catch {
    return undefined
  }
}

async function unfederated(
  schema: GraphQLSchema,
  { truth }: ShapedNetwork,
  source: string,
  variableValues: Record<string, unknown>,
): Promise<ExecutionResult> {
  return execute({
    schema,
    document: parse(source),
    variableValues,
    fieldResolver: (parent: Entity | undefined, args, _context, info) =>
      truth(info.parentType.name, parent ?? { id: '' }, info.fieldName, args),
    typeResolver: ({ __typename }: Entity) => __typename,
  })
}

function sortedText(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item !== 'object' || item === null || Array.isArray(item)
      ? item
      : Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  )
}

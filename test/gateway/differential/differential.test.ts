import { ApolloGateway } from '@apollo/gateway'
import { ApolloServer } from '@apollo/server'
import { parse, print, validate, type ExecutionResult } from 'graphql'
import { expect, test } from 'vitest'
import { silentLogger } from '../../../core/log.ts'
import type { RequestContext } from '../../../core/request.ts'
import type { SubgraphExecutor } from '../../../core/subgraph-executor.ts'
import { createFederatedGateway } from '../../../gateway/executor/gateway.ts'
import { anchorEmptiedFields } from '../../../gateway/planner/contradicting-conditions.ts'
import { maxEvaluatedPlans } from '../../../gateway/planner/supergraph.ts'
import { textSource } from '../../../gateway/planner/supergraph-source.ts'
import { composeText, localSubgraphs, requestContext } from '../executor/network.ts'
import { applyConditions } from './apply-conditions.ts'
import { explainDifference } from './explain.ts'
import { randomNetwork } from './network.ts'
import { randomQuery } from './query.ts'
import { createRandom, hash } from './random.ts'

/**
 * Random networks, data, faults and queries: the data that clients get must be the same text as from Apollo's own
 * gateway, and every difference in errors must be one of the kinds told in `explain.ts`. `DIFFERENTIAL_QUERIES` sets
 * how many queries are made, `DIFFERENTIAL_SEED` where they start.
 */
const queryCount = Number(process.env.DIFFERENTIAL_QUERIES ?? 500)
const firstSeed = Number(process.env.DIFFERENTIAL_SEED ?? 1)
const queriesPerNetwork = 50

test(
  `${queryCount} random queries are answered as by @apollo/gateway`,
  async () => {
    process.env.APOLLO_TELEMETRY_DISABLED = 'true'
    const explained: Record<string, number> = {}
    const unexplained: string[] = []
    let withData = 0
    for (let seed = firstSeed; seed < firstSeed + queryCount / queriesPerNetwork; seed++) {
      const random = createRandom(seed)
      const faults = random.pick([
        { fields: 0, entities: 0 },
        { fields: 9, entities: 0 },
        { fields: 0, entities: 6 },
        { fields: 12, entities: 9 },
      ])
      const subgraphs = randomNetwork(random, faults)
      const sdl = composeText(subgraphs)
      const { executor } = localSubgraphs(subgraphs)
      const down = random.chance(0.2) ? random.pick(Object.keys(subgraphs)) : ''
      /** Sometimes a subgraph cannot be asked at all. */
      const unreliable: SubgraphExecutor = (request, signal) =>
        request.subgraph === down && hash(seed + request.query) % 4 === 0
          ? Promise.reject(new Error('no connection'))
          : executor(request, signal)
      await using plain = await plainGateway(sdl, down === '' ? executor : unreliable)
      const ours = createFederatedGateway({
        supergraph: textSource(sdl),
        executor: down === '' ? executor : unreliable,
        logger: silentLogger,
        // With requests failing by their text, both must send the same requests.
        batching: down === '',
        // Every other network's answers are written in slices, as large ones are.
        itemsMax: seed % 2 === 0 ? 2 : 2_000,
      })
      await using server = ours
      await server.load()
      for (let count = 0; count < queriesPerNetwork; count++) {
        const { source, variables } = randomQuery(random, ours.schema())
        const document = parse(source)
        if (validate(ours.schema(), document).length > 0) continue
        const [mine, theirs] = await Promise.all([
          ours.execute({ document, variables, context: requestContext() }),
          plain.ask(source, variables),
        ])
        const contradicts = anchorEmptiedFields(document) !== document
        // Emptied fields are asked for here and not there: requests that fail by their text would fail differently.
        if (contradicts && down !== '') continue
        const applied = applyConditions(document, variables)
        const difference = await explainDifference(mine, theirs, {
          unreliable: down !== '',
          contradicts,
          unconditional: () => applied && plain.ask(print(applied), variables),
        })
        if (difference.unexplained !== undefined) {
          unexplained.push(
            `seed ${seed}, query ${count}: ${difference.unexplained}\n${source}\n${JSON.stringify(variables)}\n` +
              `ours   ${JSON.stringify(mine)}\ntheirs ${JSON.stringify(theirs)}\n${ours.explainPlan(source)}`,
          )
        }
        if (mine.data != null) withData += 1
        for (const kind of difference.explained) explained[kind] = (explained[kind] ?? 0) + 1
      }
    }
    expect(unexplained).toEqual([])
    expect(withData).toBeGreaterThan(queryCount / 3)
    console.log(`${queryCount} queries, ${withData} with data; differences:`, explained)
  },
  20 * 60_000,
)

async function plainGateway(
  sdl: string,
  executor: SubgraphExecutor,
): Promise<{ ask(query: string, variables: Record<string, unknown>): Promise<ExecutionResult> } & AsyncDisposable> {
  const gateway = new ApolloGateway({
    supergraphSdl: sdl,
    // Among plans of the same cost, which differ where faults strike, the same is found only among as many.
    queryPlannerConfig: { reuseQueryFragments: false, debug: { maxEvaluatedPlans } },
    logger: silentApolloLogger,
    buildService: ({ name }) => ({
      async process({ request, context }) {
        const result = await executor(
          {
            subgraph: name,
            kind: 'query',
            query: request.query ?? '',
            variables: request.variables ?? {},
            context: context as RequestContext,
          },
          requestContext().signal,
        )
        return result as never
      },
    }),
  })
  const server = new ApolloServer<RequestContext>({
    gateway,
    logger: silentApolloLogger,
    includeStacktraceInErrorResponses: false,
  })
  await server.start()
  return {
    async ask(query, variables) {
      const { body } = await server.executeOperation({ query, variables }, { contextValue: requestContext() })
      if (body.kind !== 'single') throw new Error('expected one answer')
      return body.singleResult as ExecutionResult
    },
    [Symbol.asyncDispose]: () => server.stop(),
  }
}

const silentApolloLogger = { debug() {}, info() {}, warn() {}, error() {} }

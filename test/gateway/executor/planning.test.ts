import {
  getNamedType,
  type GraphQLSchema,
  isCompositeType,
  isObjectType,
  isUnionType,
  parse,
  type GraphQLNamedType,
} from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../../core/log.ts'
import { createFederatedGateway, type FederatedGateway } from '../../../gateway/executor/gateway.ts'
import { createPlanningThread } from '../../../gateway/planner/planning-thread.ts'
import { textSource } from '../../../gateway/planner/supergraph-source.ts'
import { createRandom } from '../differential/random.ts'
import { shapedNetwork } from '../differential/shapes.ts'
import { composeText, localSubgraphs, requestContext } from './network.ts'

/** Fragments on unions and interfaces inside each other: seconds of planning. */
function heavyQuery(schema: GraphQLSchema, fieldsMax: number): string {
  let fields = 0
  const select = (type: GraphQLNamedType | null | undefined, depth: number): string => {
    if (!isCompositeType(type)) return ''
    if (!isObjectType(type)) {
      const parts = schema
        .getPossibleTypes(type)
        .map((possible) => `... on ${possible.name} ${select(possible, depth)}`)
      return `{ __typename ${parts.join(' ')} }`
    }
    const parts = Object.values(type.getFields()).map(({ name, type: of }) => {
      const named = getNamedType(of)
      if (isCompositeType(named) && (depth === 0 || fields > fieldsMax)) return ''
      fields += 1
      return `${isUnionType(named) || fields > 400 ? '' : `f${fields}: `}${name} ${select(named, depth - 1)}`
    })
    return `{ __typename ${parts.join(' ')} }`
  }
  return select(schema.getQueryType(), 12)
}

/** More fields than are planned at once. */
const mediumQuery = `{ ${Array.from({ length: 60 }, (_, index) => `a${index}: __typename`).join(' ')} everyone { id } }`

describe('planning beside the event loop', () => {
  const network = shapedNetwork(createRandom(58))
  const stack = new AsyncDisposableStack()
  let gateway: FederatedGateway

  beforeAll(async () => {
    const planning = stack.use(createPlanningThread({ limitMs: 100 }))
    const supergraph = textSource(composeText(network.subgraphs))
    const { executor } = localSubgraphs(network.subgraphs)
    gateway = stack.use(createFederatedGateway({ supergraph, executor, planning, logger: silentLogger }))
    await gateway.load()
  })
  afterAll(() => stack.disposeAsync())

  const ask = (source: string) => gateway.execute({ document: parse(source), context: requestContext() })

  test('a query that would be planned for seconds is refused with a code, and nobody else waits for that', async () => {
    let turns = 0
    let counting = true
    const count = (): void => {
      turns += 1
      if (counting) setImmediate(count)
    }
    setImmediate(count)
    const heavy = heavyQuery(gateway.schema(), 4_000)
    const [refused] = await Promise.all([ask(heavy), ask('{ everyone { id } }')])
    counting = false
    expect(refused.data).toBeUndefined()
    expect(refused.errors).toMatchObject([{ extensions: { code: 'QUERY_TOO_COMPLEX' } }])
    // The thread alone is begun anew in that time; in the loop itself there would be a handful.
    expect(turns).toBeGreaterThan(100)
  })

  test('asked again it is refused from memory', async () => {
    const heavy = heavyQuery(gateway.schema(), 4_000)
    const [again] = (await ask(heavy)).errors ?? []
    expect(again?.extensions['code']).toBe('QUERY_TOO_COMPLEX')
    expect((await ask(heavy)).errors?.[0]?.originalError).toBe(again?.originalError)
  })

  test('several that wait for the same plan get the one that is made', async () => {
    await using planning = createPlanningThread({ limitMs: 60_000 })
    const { executor } = localSubgraphs(network.subgraphs)
    await using patient = createFederatedGateway({
      supergraph: textSource(composeText(network.subgraphs)),
      executor,
      planning,
      logger: silentLogger,
    })
    await patient.load()
    const document = parse(mediumQuery)
    const answers = await Promise.all([1, 2, 3].map(() => patient.execute({ document, context: requestContext() })))
    for (const { data, errors } of answers) {
      expect(errors).toBeUndefined()
      expect(data).toMatchObject({ a0: 'Query', a59: 'Query', everyone: expect.any(Array) })
    }
    expect(patient.health().operations).toBe(1)
  })
})

test('what waits for a plan when the server stops is told so', async () => {
  const planning = createPlanningThread({ limitMs: 60_000 })
  const supergraph = { id: 'none', sdl: 'not a supergraph' }
  const waiting = [1, 2].map(() => planning.plan(supergraph, '{ a }', undefined).catch((error: unknown) => error))
  await planning[Symbol.asyncDispose]()
  expect(await Promise.all(waiting)).toMatchObject([{ code: 'SHUTTING_DOWN' }, { code: 'SHUTTING_DOWN' }])
  await expect(planning.plan(supergraph, '{ a }', undefined)).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
})

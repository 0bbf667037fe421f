import { parseArgs } from 'node:util'
import { GraphQLError } from 'graphql'
import { AppError } from '../../core/errors.ts'
import { silentLogger } from '../../core/log.ts'
import { createFederatedGateway } from '../../gateway/executor/gateway.ts'
import { readConfig } from '../config.ts'
import { supergraphSource } from '../supergraph.ts'
import type { Command } from './command.ts'

const usage = `usage: ledgerway plan QUERY [--operation NAME] [--supergraph FILE]

  --operation NAME     which operation of the document, where it holds several
  --supergraph FILE    another supergraph than Ledgerway's own
`

const options = { supergraph: { type: 'string' }, operation: { type: 'string' } } as const

/** Prints the plan of a query; asks no subgraph and needs no server. */
export const planCommand: Command = { usage, options, run }

async function run(args: readonly string[]): Promise<number | 'misused'> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [query, ...more] = positionals
  if (query === undefined || more.length > 0) return 'misused'
  const config = readConfig()
  await using gateway = createFederatedGateway({
    supergraph: supergraphSource({ ...config, supergraph: values.supergraph ?? config.supergraph }, silentLogger),
    executor: () => Promise.reject(new AppError('SUBGRAPH_UNAVAILABLE', 'Planning asks no subgraph.')),
    logger: silentLogger,
  })
  await gateway.load()
  try {
    process.stdout.write(`${gateway.explainPlan(query, values.operation)}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

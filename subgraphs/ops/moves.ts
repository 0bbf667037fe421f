import { authorize } from '../../access/rights.ts'
import { AppError } from '../../core/errors.ts'
import { type CompanyId, parseCompanyId, parseShardId } from '../../core/ids.ts'
import { pageSize } from '../../core/page-size.ts'
import type { Principal } from '../../core/request.ts'
import type { Logger } from '../../core/log.ts'
import { jobDefinitions } from '../../jobs/definitions.ts'
import { type Job, jobId } from '../../jobs/job.ts'
import type { Jobs, NewJob } from '../../jobs/jobs.ts'
import type { MoveState, Objects, RebalanceState, Resolvers } from '../../schema/generated/ops.ts'
import type { ShardAdmin } from '../../store/admin.ts'
import { type Move, moveProgress } from '../../store/move/move-row.ts'
import type { Rebalance, Rebalancer } from '../../store/move/rebalance.ts'
import type { Store } from '../../store/store.ts'
import type { SubgraphContext } from '../context.ts'
import { checkCompany } from './api-keys.ts'
import { readShards, type ShardHealth } from './shards.ts'

interface MoveObjects extends Objects {
  Company: { id: CompanyId }
  Job: Job
  Move: Move
  Rebalance: Rebalance
  Shard: ShardHealth
}
type MoveResolvers = Resolvers<SubgraphContext, MoveObjects>

export interface ShardOperations {
  readonly admin: ShardAdmin
  readonly rebalancer: Rebalancer
}

const maxListed = 100

/**
 * What administrators do with shards. A mutation plans, which is a row of the catalog, and submits a job that works at it:
 * where the queue cannot take the job, the company mover of some worker does the work all the same, without one to follow.
 */
export function createMoveResolvers(deps: { store: Store; jobs: Jobs; logger: Logger } & ShardOperations): {
  readonly Move: MoveResolvers['Move']
  readonly Rebalance: MoveResolvers['Rebalance']
  query: Pick<MoveResolvers['Query'], 'moves' | 'rebalances'>
  mutation: Pick<
    MoveResolvers['Mutation'],
    | 'addShard'
    | 'moveCompany'
    | 'rebalanceShards'
    | 'pauseMoves'
    | 'resumeMoves'
    | 'cancelMove'
    | 'cancelRebalance'
    | 'promoteReplica'
  >
} {
  const { store, jobs, admin, rebalancer, logger } = deps

  async function work(job: NewJob): Promise<void> {
    try {
      await jobs.submit(job)
    } catch (error) {
      logger.warn({ job: job.name, error }, 'planned, but the queue takes no job for it')
    }
  }

  async function serverKeyOf(shard: string, replica: string | null | undefined): Promise<string> {
    const info = (await admin.list()).find(({ name }) => name === shard)
    if (info === undefined) throw new AppError('NOT_FOUND', `There is no shard "${shard}".`)
    const replicas = info.servers.filter(({ server }) => server !== 'primary')
    const chosen =
      replica == null ? (replicas.length === 1 ? replicas[0] : undefined) : replicas.find((r) => r.server === replica)
    if (chosen !== undefined) return chosen.key
    const names = replicas.map(({ server }) => server).join(', ')
    throw new AppError('BAD_USER_INPUT', `replica: choose from ${names || 'none: the shard has no replica'}`)
  }

  return {
    query: {
      moves: (_, { first, companyId, shard, before }, { principal }) => {
        authorize(principal, 'ops.read')
        const filter = {
          companyId: companyId == null ? undefined : parseCompanyId(companyId),
          shard: shard == null ? undefined : parseShardId(shard),
          before: before == null ? undefined : rowId(before),
        }
        return admin.moves(filter, pageSize(first))
      },
      rebalances: (_, { first }, { principal }) => {
        authorize(principal, 'ops.read')
        return rebalancer.list(pageSize(first))
      },
    },
    mutation: {
      addShard: async (_, { name }, { principal, scope }) => {
        mayWrite(principal)
        await admin.add(parseShardId(name))
        const added = (await readShards(store, scope)).find((shard) => shard.name === name)
        if (added === undefined) throw new AppError('NOT_FOUND', `There is no shard "${name}".`)
        return added
      },
      moveCompany: async (_, { companyId, to }, { principal, actor, scope }) => {
        mayWrite(principal)
        const id = parseCompanyId(companyId)
        await checkCompany(store, id, scope)
        const move = await admin.move(id, parseShardId(to))
        await work({
          name: 'moveCompany',
          companyId: id,
          arguments: { move: move.id },
          submittedBy: actor,
          jobId: moveKey(move),
        })
        return move
      },
      rebalanceShards: async (_, _args, { principal, actor }) => {
        mayWrite(principal)
        const rebalance = await admin.rebalance()
        await work({
          name: 'rebalanceShards',
          companyId: null,
          arguments: { rebalance: rebalance.id },
          submittedBy: actor,
          jobId: rebalanceKey(rebalance),
        })
        return rebalance
      },
      pauseMoves: async (_, { move }, { principal }) => {
        mayWrite(principal)
        return move == null ? (await admin.pauseAll()).moves.slice(0, maxListed) : [await admin.pause(rowId(move))]
      },
      resumeMoves: async (_, { move }, { principal }) => {
        mayWrite(principal)
        return move == null ? (await admin.resumeAll()).moves.slice(0, maxListed) : [await admin.resume(rowId(move))]
      },
      cancelMove: (_, { id }, { principal }) => {
        mayWrite(principal)
        return admin.cancel(rowId(id))
      },
      cancelRebalance: async (_, { id }, { principal }) => {
        mayWrite(principal)
        await rebalancer.cancel(rowId(id))
        return rebalancer.find(rowId(id))
      },
      promoteReplica: async (_, { shard, replica, acceptLoss }, { principal, actor }) => {
        mayWrite(principal)
        const server = await serverKeyOf(shard, replica)
        return jobs.submit({
          name: 'promoteReplica',
          companyId: null,
          arguments: { shard, server, acceptLoss: acceptLoss === true },
          submittedBy: actor,
        })
      },
    },
    Move: {
      id: ({ id }) => String(id),
      company: ({ companyId }) => ({ id: companyId }),
      from: ({ source }) => source,
      to: ({ target }) => target,
      state: ({ state }) => state.toUpperCase() as MoveState,
      progress: moveProgress,
      writesHeldBackMs: ({ fenceMs }) => fenceMs,
      job: (move) => jobs.get(jobId(jobDefinitions.moveCompany.queue, moveKey(move))),
    },
    Rebalance: {
      id: ({ id }) => String(id),
      state: ({ state }) => state.toUpperCase() as RebalanceState,
      job: (rebalance) => jobs.get(jobId(jobDefinitions.rebalanceShards.queue, rebalanceKey(rebalance))),
    },
  }
}

const moveKey = ({ id }: Move): string => `move-${id}`
const rebalanceKey = ({ id }: Rebalance): string => `rebalance-${id}`

function mayWrite(principal: Principal): void {
  authorize(principal, 'ops.write')
}

/** @throws AppError INVALID_ID */
function rowId(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new AppError('INVALID_ID', 'Moves and rebalances are named by a number.')
  return Number(text)
}

import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { AppError } from '../../core/errors.ts'
import { parseCompanyId, parseShardId } from '../../core/ids.ts'
import type { ShardInfo } from '../../store/admin.ts'
import type { Move } from '../../store/move/move-row.ts'
import type { Rebalance } from '../../store/move/rebalance.ts'
import { composeShards, type ShardParts } from '../shards.ts'
import type { Command } from './command.ts'
import { withData } from './with-data.ts'

const usage = `usage: ledgerway shards list
       ledgerway shards moves [--company COMPANY] [--shard SHARD]
       ledgerway shards add SHARD
       ledgerway shards move COMPANY --to SHARD
       ledgerway shards pause | resume [MOVE]
       ledgerway shards cancel MOVE
       ledgerway shards rebalance
       ledgerway shards promote SHARD [--server HOST:PORT/DATABASE] [--accept-loss]

  list         shards with their buckets, servers and connections
  moves        the last 50 moves, newest first
  add          takes in a shard that SHARDS names
  move         moves one company, and waits for it
  pause        one move, or all with the rebalance; so do "resume" and, for one move, "cancel"
  rebalance    gives every shard its share, and waits for it
  promote      makes a replica the primary

  --company COMPANY    of "moves": its moves only
  --shard SHARD        of "moves": those from or to it
  --to SHARD           where the company shall lie
  --server SERVER      which replica, where there are several
  --accept-loss        promotes also where what the old primary had not sent is lost
`

const options = {
  to: { type: 'string' },
  company: { type: 'string' },
  shard: { type: 'string' },
  server: { type: 'string' },
  'accept-loss': { type: 'boolean', default: false },
} as const

const pollMs = 500

/** On the running product of the data directory, or on external servers. docs/scaling.md says what each does. */
export const shardsCommand: Command = { usage, options, run }

async function run(args: readonly string[], signal: AbortSignal): Promise<number | 'misused'> {
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true })
  const [action = '', subject, ...more] = positionals
  const act = actionOf(action, subject, values)
  if (act === null || more.length > 0) return 'misused'
  return withData({ signal }, ({ store, bus, servers }, { logger }) =>
    act(composeShards({ store, bus, shards: servers.shards, logger }), signal),
  )
}

type Act = (parts: ShardParts, signal: AbortSignal) => Promise<number>

function actionOf(
  action: string,
  subject: string | undefined,
  options: {
    to?: string | undefined
    server?: string | undefined
    company?: string | undefined
    shard?: string | undefined
    'accept-loss': boolean
  },
): Act | null {
  const { to, server } = options
  if (subject === undefined) {
    switch (action) {
      case 'list':
        return list
      case 'moves':
        return async ({ admin }) => {
          const filter = {
            companyId: options.company === undefined ? undefined : parseCompanyId(options.company),
            shard: options.shard === undefined ? undefined : parseShardId(options.shard),
          }
          for (const move of await admin.moves(filter, 50)) line(moveLine(move))
          return 0
        }
      case 'rebalance':
        return rebalance
      case 'pause':
      case 'resume':
        return async ({ admin }) => {
          const { moves, rebalance } = await (action === 'pause' ? admin.pauseAll() : admin.resumeAll())
          if (rebalance !== null) line(rebalanceLine(rebalance))
          for (const changed of moves) line(moveLine(changed))
          if (rebalance === null && moves.length === 0) {
            line(`nothing to ${action}: no move or rebalance is ${action === 'pause' ? 'under way' : 'paused'}`)
          }
          return 0
        }
      default:
        return null
    }
  }
  switch (action) {
    case 'add':
      return async ({ admin }) => {
        const { name, buckets } = await admin.add(parseShardId(subject))
        line(`${name} is ready and has ${buckets} buckets; "ledgerway shards rebalance" gives it its share`)
        return 0
      }
    case 'move':
      return to === undefined ? null : (parts, signal) => move(parts, signal, subject, to)
    case 'pause':
    case 'resume':
    case 'cancel':
      return async ({ admin }) => {
        line(moveLine(await admin[action](moveId(subject))))
        return 0
      }
    case 'promote':
      return async ({ admin }) => {
        const promotion = { acceptLoss: options['accept-loss'], ...(server === undefined ? {} : { server }) }
        const { lost } = await admin.promote(parseShardId(subject), promotion)
        line(lost === 'nothing' ? 'promoted; nothing is lost' : 'promoted; what the old primary had not sent is lost')
        return 0
      }
    default:
      return null
  }
}

const list: Act = async ({ admin }) => {
  for (const shard of await admin.list()) {
    line(`${shard.name}: ${shard.buckets} buckets, ${shard.overrides} companies by override, region ${shard.region}`)
    if (!shard.configured) line('  not in SHARDS of this process')
    for (const server of shard.servers) line(`  ${serverLine(server)}`)
  }
  return 0
}

async function move({ mover, admin }: ShardParts, signal: AbortSignal, company: string, to: string): Promise<number> {
  const { id } = await admin.move(parseCompanyId(company), parseShardId(to))
  line(`move ${id}: ${company} to ${to}`)
  for (;;) {
    // A worker of the running product may have been quicker to take it.
    const now = await mover.run(id, signal)
    if (now.state === 'copying' || now.state === 'fenced') {
      if (now.paused || signal.aborted) {
        line(moveLine(now))
        return 1
      }
      await setTimeout(pollMs)
      continue
    }
    line(moveLine(now))
    return now.state === 'done' || now.state === 'flipped' ? 0 : 1
  }
}

const rebalance: Act = async ({ rebalancer, admin }, signal) => {
  const { id } = await admin.rebalance()
  for (;;) {
    const now = await rebalancer.run(id, { signal, onProgress: (progress) => line(rebalanceLine(progress)) })
    if (now.state === 'running' && !signal.aborted && !now.paused) {
      line(rebalanceLine(now))
      await setTimeout(pollMs)
      continue
    }
    line(rebalanceLine(now))
    return now.state === 'done' ? 0 : 1
  }
}

function moveId(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new AppError('INVALID_ID', 'A move is named by its number.')
  return Number(text)
}

function moveLine(move: Move): string {
  const state = move.state === 'flipped' ? 'moved; the old copy is deleted soon' : move.state
  const held = move.fenceMs === null ? '' : `, writes held back for ${move.fenceMs} ms`
  const error = move.error === null ? '' : `, ${move.error}`
  return `move ${move.id}: ${move.companyId} ${move.source} -> ${move.target}: ${state}${move.paused ? ' (paused)' : ''}, ${move.rowsCopied} rows copied${held}${error}`
}

function serverLine({ server, key, up, formerPrimary, lagMs, open, max }: ShardInfo['servers'][number]): string {
  if (formerPrimary) {
    return `former primary ${key}: fenced, serves nothing; make it a replica of the new primary before you use it`
  }
  const lag =
    server === 'primary' ? '' : `, ${Number.isFinite(lagMs) ? `${Math.round(lagMs)} ms behind` : 'lag unknown'}`
  return `${server} ${key}: ${up ? 'up' : 'down'}${lag}, ${open} of ${max} connections`
}

const rebalanceLine = ({ state, paused, buckets, bucketsLeft, companiesMoved, error }: Rebalance): string =>
  `rebalance ${state}${paused ? ' (paused)' : ''}: ${buckets - bucketsLeft} of ${buckets} buckets, ${companiesMoved} companies moved${error === null ? '' : `, ${error}`}`

const line = (text: string): void => void process.stdout.write(`${text}\n`)

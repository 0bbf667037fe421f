import { type Clock, systemClock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import type { Principal } from '../core/request.ts'
import { parsePrincipal } from './propagation.ts'
import { unauthenticated } from './rights.ts'
import { hashSecret, newSecret } from './secrets.ts'

/**
 * Tickets open one event stream from a browser, whose EventSource cannot set headers, so that no API key ever stands in a
 * URL. A ticket works once and for a minute. The stream it opened carries a resume token in its event ids, which the
 * browser gives back by itself when it reconnects to the same URL; so a ticket found in a log opens nothing.
 */
export interface Tickets {
  /** @throws AppError FORBIDDEN without a key, OVERLOADED where no store can be reached */
  issue(principal: Principal): Promise<{ ticket: string; expiresAt: Date }>
  /** The first use. @throws AppError UNAUTHENTICATED for a ticket that is used, expired or nobody's */
  redeem(ticket: string): Promise<{ principal: Principal; resumeToken: string }>
  /** A later use by who holds the token. @throws AppError UNAUTHENTICATED */
  resume(ticket: string, resumeToken: string): Promise<Principal>
}

/** Where tickets lie; every process of a deployment MUST see the same. Hashes only: the store cannot open a stream. */
export interface TicketStore {
  put(ticketHash: Buffer, principal: string, lifetimeMs: number): Promise<void>
  /** Atomically: succeeds for exactly one caller. Undefined where there is no unused ticket. */
  claim(ticketHash: Buffer, resumeHash: Buffer, resumableMs: number): Promise<string | undefined>
  /** The principal, where that ticket was claimed with that token; keeps it resumable for as long again. */
  resume(ticketHash: Buffer, resumeHash: Buffer, resumableMs: number): Promise<string | undefined>
}

const lifetimeMs = 60_000
/** How long after its last connection a stream may be taken up again without a new ticket. */
const resumableMs = 3_600_000

/**
 * `stores` in order of preference, each with the letter that tickets in it begin with: where the first is down, tickets go
 * to the next, and a ticket itself says where it lies.
 */
export function createTickets(deps: {
  stores: readonly { letter: string; store: TicketStore }[]
  logger: Logger
  clock?: Clock
}): Tickets {
  const { stores, logger, clock = systemClock } = deps
  const storeOf = (ticket: string): TicketStore => {
    const found = ticket.length < 100 ? stores.find(({ letter }) => ticket.startsWith(prefix(letter))) : undefined
    if (found === undefined) throw usedUp()
    return found.store
  }
  return {
    async issue(principal) {
      if (principal.kind === 'anonymous') throw unauthenticated()
      for (const { letter, store } of stores) {
        const ticket = newSecret(prefix(letter))
        const expiresAt = new Date(clock.now() + lifetimeMs)
        try {
          await store.put(hashSecret(ticket), JSON.stringify(principal), lifetimeMs)
          return { ticket, expiresAt }
        } catch (error) {
          logger.warn({ error, store: letter }, 'a stream ticket could not be stored; trying the next store')
        }
      }
      throw new AppError('OVERLOADED', 'No stream ticket can be made just now. Try again.')
    },
    async redeem(ticket) {
      const resumeToken = newSecret('')
      const principal = await storeOf(ticket).claim(hashSecret(ticket), hashSecret(resumeToken), resumableMs)
      if (principal === undefined) throw usedUp()
      return { principal: parsePrincipal(JSON.parse(principal)), resumeToken }
    },
    async resume(ticket, resumeToken) {
      const principal = await storeOf(ticket).resume(hashSecret(ticket), hashSecret(resumeToken), resumableMs)
      if (principal === undefined) throw usedUp()
      return parsePrincipal(JSON.parse(principal))
    },
  }
}

const usedUp = (): AppError =>
  new AppError('UNAUTHENTICATED', 'This ticket was used or has expired: get another by createStreamTicket.')

const prefix = (letter: string): string => `lwt${letter}_`

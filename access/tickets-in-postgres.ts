import type { Sql } from 'postgres'
import type { TicketStore } from './tickets.ts'

/** Tickets in the catalog. Each method is one autocommit statement on a primary key; the row lock makes `claim` exclusive. */
export function createPostgresTicketStore(deps: { catalog: Sql }): TicketStore {
  const { catalog } = deps
  return {
    async put(ticketHash, principal, lifetimeMs) {
      // Sweeps a few expired ones along, so that the table stays as small as what is in use.
      await catalog`
        with swept as (
          delete from access_tickets where ticket_hash in (
            select ticket_hash from access_tickets where expires_at < clock_timestamp() limit 10 for update skip locked))
        insert into access_tickets (ticket_hash, principal, expires_at)
        values (${ticketHash}, ${principal}, ${after(lifetimeMs)})`
    },
    async claim(ticketHash, resumeHash, resumableMs) {
      const [row] = await catalog<{ principal: string }[]>`
        update access_tickets set resume_hash = ${resumeHash}, expires_at = ${after(resumableMs)}
        where ticket_hash = ${ticketHash} and resume_hash is null and expires_at > clock_timestamp()
        returning principal`
      return row?.principal
    },
    async resume(ticketHash, resumeHash, resumableMs) {
      const [row] = await catalog<{ principal: string }[]>`
        update access_tickets set expires_at = ${after(resumableMs)}
        where ticket_hash = ${ticketHash} and resume_hash = ${resumeHash} and expires_at > clock_timestamp()
        returning principal`
      return row?.principal
    },
  }

  function after(ms: number) {
    return catalog`clock_timestamp() + ${ms} * interval '1 millisecond'`
  }
}

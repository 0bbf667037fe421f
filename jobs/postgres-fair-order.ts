import type { PgQueryable } from 'bullmq'
import { type FairOrder, maxTag } from './fair-order.ts'

/** Beside BullMQ's own tables, in its database. */
export const fairOrderSchema = `
create schema if not exists ledgerway_jobs;
create table if not exists ledgerway_jobs.clock (queue text primary key, tag integer not null) with (fillfactor = 50);
create table if not exists ledgerway_jobs.tags (
  queue text not null, company_id text not null, tag integer not null, primary key (queue, company_id)
);`

/** `n` jobs of a company get the tags behind `greatest(clock, last)`, one after the other. Locks the companies' rows. */
const tagsStatement = `
with ids as (
  select company_id, count(*)::integer as n from unnest($2::text[]) company_id group by company_id order by company_id
),
now as (select coalesce((select tag from ledgerway_jobs.clock where queue = $1), 0) as tag)
insert into ledgerway_jobs.tags as t (queue, company_id, tag)
select $1, ids.company_id, least(now.tag + ids.n, $3) from ids, now
on conflict (queue, company_id) do update
  set tag = least(greatest((select tag from now), t.tag) + (select n from ids where ids.company_id = t.company_id), $3)
returning company_id, tag`

const startedStatement = `
with moved as (
  insert into ledgerway_jobs.clock as c (queue, tag) values ($1, $2)
  on conflict (queue) do update set tag = excluded.tag where c.tag < excluded.tag
  returning tag
)
delete from ledgerway_jobs.tags where queue = $1 and tag <= (select tag from moved)`

export function createPostgresFairOrder(pool: PgQueryable): FairOrder {
  return {
    async tags(queue, companyIds, idle) {
      if (idle) {
        await pool.query(
          'with clock as (delete from ledgerway_jobs.clock where queue = $1) delete from ledgerway_jobs.tags where queue = $1',
          [queue],
        )
      }
      const { rows } = await pool.query<{ company_id: string; tag: number }>(tagsStatement, [queue, companyIds, maxTag])
      const last = new Map(rows.map((row) => [row.company_id, row.tag]))
      // The statement gives each company's last tag: counted back from there.
      return companyIds
        .toReversed()
        .map((companyId) => {
          const tag = last.get(companyId) ?? maxTag
          last.set(companyId, Math.max(tag - 1, 1))
          return tag
        })
        .toReversed()
    },
    async started(queue, tag) {
      await pool.query(startedStatement, [queue, tag])
    },
  }
}

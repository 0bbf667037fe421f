-- The change feed of one shard. Every append inserts into feed_dirty in its own transaction and nothing else: no
-- sequence is tailed and no transaction id compared, so a change that commits late is merely found late, never lost.

create table feed_dirty (
  id bigint generated always as identity primary key,
  company_id text not null
);
-- A queue: rows live for milliseconds, so vacuum must come by count, not by share of a table that is nearly empty.
alter table feed_dirty set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- One row. Its lock is the leadership of a round; `position` is the last feed position given out.
create table feed_state (
  only_row boolean primary key default true check (only_row),
  position bigint not null default 0,
  -- Rows up to here were trimmed: a reader that stands before it has missed some.
  trimmed bigint not null default 0
) with (fillfactor = 50);
insert into feed_state default values;

-- How much of each ledger was fed. Moves with the company, so that its history is not fed again on its new shard.
create table feed_heads (
  company_id text primary key,
  size bigint not null
) with (fillfactor = 70);

-- Records "from" to "from" + count - 1 of one ledger. Belongs to the shard, not to a company: it stays when one moves.
create table feed (
  position bigint primary key,
  company_id text not null,
  "from" bigint not null,
  count integer not null check (count > 0),
  kinds text[] not null,
  -- Write-ahead log position that covers those records: a replica that has replayed it shows them.
  lsn pg_lsn not null,
  at timestamptz not null default clock_timestamp()
);

-- Durable consumers. `owner` holds the lease until `leased_until`; whoever advances the cursor MUST still hold it.
create table feed_cursors (
  consumer text primary key,
  position bigint not null,
  owner text,
  leased_until timestamptz,
  failures integer not null default 0,
  last_error text,
  advanced_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- One round of the relay: becomes leader for this one transaction or answers `leader = false`, takes up to p_limit dirty
-- rows (with p_all: compares every head instead, which finds what a restored or repaired shard has no dirty row for), and
-- writes one feed row for each head that is ahead of what was fed. Always answers at least one row; its feed_position is
-- null where there was nothing to feed. `more`: there may be work left.
--
-- Locks: feed_state's row, without waiting, until the caller's transaction ends: call it alone. The statement after the
-- lock takes a new snapshot, so it sees all that the previous leader wrote; a dirty row and the head it tells of commit
-- together, so one snapshot shows both or neither. MUST run under read committed.
-- Indexes: feed_dirty_pkey from its low end, the primary keys of ledger_heads, feed_heads and ledger_records.
create function feed_round(p_limit integer, p_all boolean)
returns table (
  leader boolean, more boolean, feed_position bigint, company text, first_position bigint, records integer,
  record_kinds text[], covering_lsn pg_lsn
)
language plpgsql
as $$
declare
  last_position bigint;
begin
  select s.position into last_position from feed_state s for update skip locked;
  if not found then
    leader := false;
    more := false;
    return next;
    return;
  end if;

  return query
  with taken as (
    delete from feed_dirty d
    where d.id in (select o.id from feed_dirty o where not p_all order by o.id limit p_limit)
    returning d.company_id
  ),
  ahead as (
    select h.company_id, coalesce(f.size, 0) as start, h.size
    from (select distinct t.company_id from taken t union all select a.company_id from ledger_heads a where p_all) c
    join ledger_heads h on h.company_id = c.company_id
    left join feed_heads f on f.company_id = c.company_id
    where h.size > coalesce(f.size, 0)
    order by h.company_id
    limit p_limit
  ),
  written as (
    insert into feed (position, company_id, "from", count, kinds, lsn)
    select last_position + row_number() over (order by a.company_id), a.company_id, a.start, a.size - a.start,
      array(
        select distinct r.kind from ledger_records r
        where r.company_id = a.company_id and r.position >= a.start and r.position < a.size
      ),
      pg_current_wal_flush_lsn()
    from ahead a
    returning position, company_id, "from", count, kinds, lsn
  ),
  fed as (
    insert into feed_heads as f (company_id, size) select a.company_id, a.size from ahead a
    on conflict (company_id) do update set size = greatest(f.size, excluded.size)
  ),
  advanced as (
    update feed_state s set position = last_position + (select count(*) from ahead)
    where exists (select from ahead)
  )
  select true, greatest((select count(*) from taken), (select count(*) from ahead)) >= p_limit,
    w.position, w.company_id, w."from", w.count, w.kinds, w.lsn
  from (values (1)) one left join written w on true
  order by w.position;
end $$;

-- Leases grow over all moves, so that every shard can tell a later mover of a company from an earlier one.
create sequence mover_leases;

-- An override that says what the bucket says by now is dropped once every replica has surely replayed its arrival.
alter table company_overrides add column arrived_at timestamptz not null default now();

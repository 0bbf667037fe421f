-- A rebalance, like a move, is a row that any process may take up where another left it.

create table rebalances (
  id bigint generated always as identity primary key,
  -- running -> done, failed or cancelled.
  state text not null default 'running',
  cancel boolean not null default false,
  lease bigint not null default 0,
  leased_until timestamptz not null default now(),
  -- Buckets to give away when it was last looked at, and at most.
  buckets integer not null default 0,
  buckets_left integer not null default 0,
  companies_moved integer not null default 0,
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index rebalances_running on rebalances (state) where state = 'running';

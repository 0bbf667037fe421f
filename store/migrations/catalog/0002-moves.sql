-- Moves of companies between shards. A move is a row that any process may take up: what is in it survives kill -9.

create table company_moves (
  id bigint generated always as identity primary key,
  company_id text not null,
  source text not null references shards,
  target text not null references shards,
  -- copying -> fenced -> flipped -> done; or failed, cancelled.
  state text not null default 'copying',
  -- Asked for by an operator; the mover stops at its next step and leaves the row as it is.
  paused boolean not null default false,
  cancel boolean not null default false,
  -- Raised whenever another process takes the move up: the one before can then change nothing any more.
  lease bigint not null default 0,
  leased_until timestamptz not null default now(),
  -- Rows changed by transactions before this one are on the target already; null before the first full copy.
  synced_before text,
  rows_copied bigint not null default 0,
  rounds integer not null default 0,
  -- For how long writes were held back.
  fence_ms integer,
  error text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index company_moves_open on company_moves (company_id)
  where state in ('copying', 'fenced', 'flipped');

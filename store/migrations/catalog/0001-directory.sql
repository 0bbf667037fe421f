-- The directory: which shard holds which company. Every change of it raises deployment.epoch in the same transaction.

create table deployment (
  singleton boolean primary key default true check (singleton),
  -- The first half of every ledger's origin: never changed.
  name text not null check (name ~ '^[a-z0-9.-]+$'),
  -- How buckets are assigned, as JSON; fixed with the name, because a company's bucket follows from it.
  placement text not null,
  epoch bigint not null default 1,
  created_at timestamptz not null default now()
);

create table shards (
  name text primary key,
  -- The order in which the operator listed them.
  ordinal integer not null,
  region text not null,
  -- Raised by a promotion: servers of an older generation take no writes.
  generation bigint not null default 1,
  -- host:port/database of the server that is the primary now; null: the one the configuration names first.
  primary_server text,
  added_at timestamptz not null default now()
);

create table buckets (
  bucket integer primary key check (bucket between 0 and 4095),
  shard text not null references shards
);

create table company_overrides (
  company_id text primary key,
  shard text not null references shards,
  -- Flush position of the shard when the company had arrived: a replica that has not replayed it shows too little.
  arrived_lsn pg_lsn not null
);

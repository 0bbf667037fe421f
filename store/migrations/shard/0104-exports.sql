-- Exported bundles, until they are fetched or too old. Unlogged on purpose: what they hold can be exported again, and it
-- must not get into the log, replicas and backups, where an erasure could not reach it. A crash of the server empties
-- both; they do not move with their company.

create unlogged table ledger_exports (
  company_id text not null,
  id text not null,
  -- The try that writes it: what an earlier try still sends is refused.
  run uuid not null,
  -- Whether private parts are in it.
  private boolean not null,
  -- Of its chunks, encrypted under the wrapping key.
  wrapped_key bytea not null,
  chunks integer not null default 0,
  bytes bigint not null default 0,
  -- Records, and the file's hash; null until it is complete.
  size bigint,
  sha256 bytea,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  primary key (company_id, id)
);

create unlogged table ledger_export_chunks (
  company_id text not null,
  id text not null,
  number integer not null,
  sealed bytea not null,
  primary key (company_id, id, number)
);
-- Compressed and encrypted already.
alter table ledger_export_chunks alter column sealed set storage external;

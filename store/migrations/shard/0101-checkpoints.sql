-- Signed checkpoints and complete tiles of a ledger's tree. Both follow from the records; nothing is ever changed here.

create table ledger_checkpoints (
  company_id text not null,
  size bigint not null,
  -- C2SP signed note.
  note text not null,
  at timestamptz not null default clock_timestamp(),
  primary key (company_id, size)
);

-- 256 hashes of tree level 8 * level, and the hash of the whole tile: what the tile above holds of it.
create table ledger_tiles (
  company_id text not null,
  level integer not null,
  index bigint not null,
  hashes bytea not null,
  root bytea not null,
  primary key (company_id, level, index)
);
alter table ledger_tiles alter column hashes set storage external;

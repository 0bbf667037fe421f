-- What was last signed of every ledger, outside its shard: a shard restored from an old backup cannot fork a ledger.
create table signed_checkpoints (
  origin text primary key,
  size bigint not null,
  root bytea not null
);

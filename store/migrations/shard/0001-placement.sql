-- What a shard knows of placement: enough to refuse a writer whose directory is out of date, without asking the catalog.

create table shard_identity (
  singleton boolean primary key default true check (singleton),
  deployment text not null,
  shard text not null,
  generation bigint not null default 1
);

-- The fence of creations and of writes without an append: they lock their bucket's row for key share, a mover for update.
create table shard_buckets (
  bucket integer primary key check (bucket between 0 and 4095),
  owned boolean not null,
  epoch bigint not null
);

-- Companies for which the bucket's row does not speak: `here` tells arrived ones from departed ones.
create table company_places (
  company_id text primary key,
  here boolean not null,
  epoch bigint not null
);

-- Locks the bucket for the rest of the transaction, then refuses with LW001 unless the company belongs on this shard.
-- Two statements, so that the second sees what a mover committed while the first waited for its lock.
create function assert_company_here(company text, bucket_number integer) returns void
language plpgsql as $$
begin
  perform 1 from shard_buckets where bucket = bucket_number for key share;
  if not coalesce(
    (select here from company_places where company_id = company),
    (select owned from shard_buckets where bucket = bucket_number),
    false
  ) then
    raise exception 'stale epoch' using errcode = 'LW001';
  end if;
end
$$;

-- Where a company wants to be told of its records. The secret is ciphertext (AES-256-GCM under the wrapping key, bound to
-- company and webhook), so that a backup of a shard signs nothing.
create table webhooks (
  company_id text not null,
  webhook_id text not null,
  url text not null,
  -- Empty: records of every kind.
  kinds text[] not null default '{}',
  enabled boolean not null default true,
  -- Why it was disabled by us; null where its owner did it.
  disabled_reason text,
  secret bytea not null,
  -- Signs beside `secret` until previous_until, so that receivers can change over without losing a delivery.
  previous_secret bytea,
  previous_until timestamptz,
  created_at timestamptz not null default now(),
  primary key (company_id, webhook_id)
);

-- One row an attempt. Holds references, never payloads: erasing a record reaches everything that was ever sent.
create table webhook_deliveries (
  company_id text not null,
  webhook_id text not null,
  position bigint not null,
  attempt integer not null,
  at timestamptz not null default clock_timestamp(),
  -- HTTP status; null where no answer came.
  status integer,
  -- Code of what went wrong; null where it was delivered.
  error text,
  duration_ms integer not null,
  primary key (company_id, webhook_id, position, attempt)
);
create index webhook_deliveries_by_time on webhook_deliveries (company_id, webhook_id, at);

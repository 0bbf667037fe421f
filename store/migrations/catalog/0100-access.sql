-- API keys and stream tickets. Both are stored as SHA-256 of the secret: whoever reads this database can use neither.

create table access_keys (
  key_id text primary key,
  key_hash bytea not null unique check (octet_length(key_hash) = 32),
  -- null: an administrator's key
  company_id text,
  -- actions of access/rights.ts, or '*' for all that the owner may do
  scopes text[] not null,
  label text not null,
  created_at timestamptz not null default clock_timestamp(),
  created_by text not null,
  revoked_at timestamptz,
  -- processes ask for what changed since they last looked
  changed_at timestamptz not null default clock_timestamp()
);

create index access_keys_changed_at on access_keys (changed_at);
create index access_keys_company_id on access_keys (company_id);

create table access_tickets (
  ticket_hash bytea primary key check (octet_length(ticket_hash) = 32),
  principal text not null,
  expires_at timestamptz not null,
  -- null: not yet redeemed. Set: SHA-256 of the token with which the same stream may be taken up again.
  resume_hash bytea check (octet_length(resume_hash) = 32)
);

create index access_tickets_expires_at on access_tickets (expires_at);

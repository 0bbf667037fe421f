-- Relationships as one company sees them: each of the two companies keeps its own edge on its own shard.

-- The edge: the fold of the actions below (`network/relationship-rules.ts`), kept for reading.
create table relationships (
  company_id text collate "C" not null,
  -- <buyer>~<seller>~<kind>
  relationship_id text collate "C" not null,
  partner_id text collate "C" not null,
  role text collate "C" not null check (role in ('BUYER', 'SELLER')),
  kind text collate "C" not null,
  status text collate "C" not null,
  invited_by text collate "C" not null,
  suspended_by text collate "C",
  -- JSON text.
  terms text,
  rating integer,
  invited_at text collate "C" not null,
  active_at text collate "C",
  ended_at text collate "C",
  updated_at text collate "C" not null,
  -- The highest Lamport clock seen, and the place of the last action folded.
  clock bigint not null,
  last_clock bigint not null,
  last_actor text collate "C" not null,
  primary key (company_id, relationship_id)
);
create index relationships_by_change on relationships (company_id, updated_at desc, relationship_id);
create index relationships_by_age on relationships (company_id, invited_at, relationship_id);
create index relationships_by_rating on relationships (company_id, (coalesce(rating, -11)) desc, relationship_id);
create index relationships_by_partner on relationships (company_id, partner_id);

-- Every action of either side that reached this side, whether it was allowed where it stands or not.
create table relationship_actions (
  company_id text collate "C" not null,
  relationship_id text collate "C" not null,
  clock bigint not null,
  actor text collate "C" not null,
  action text collate "C" not null,
  at text collate "C" not null,
  terms text,
  rating integer,
  -- Own actions: the counterpart has recorded it, and that has been recorded here.
  acknowledged boolean not null default false,
  primary key (company_id, relationship_id, clock, actor)
);

-- Counterparts that could not be reached: what this company's ledger says to them from here on waits, in order.
create table relationship_parked (
  company_id text collate "C" not null,
  partner_id text collate "C" not null,
  from_position bigint not null,
  -- Counted up by whoever leaves something waiting, so that who delivers sees that more has come meanwhile.
  touched bigint not null default 0,
  primary key (company_id, partner_id)
);

-- People who act for a company. What names them lies here and in the private part of the ledger's records only.
create table company_users (
  company_id text collate "C" not null,
  user_id text collate "C" not null,
  name text not null,
  email text,
  roles text[] not null,
  created_at text collate "C" not null,
  updated_at text collate "C" not null,
  primary key (company_id, user_id)
);

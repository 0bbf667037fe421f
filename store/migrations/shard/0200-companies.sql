-- Companies, the identifiers they carry, and the shard's copy of the sectors.
--
-- Times are text in the ledger's one format (YYYY-MM-DDTHH:MM:SS.mmmZ): equal text is equal time, and byte order is time
-- order. Text that orders or routes is collate "C", so that every shard and the merging process compare the same bytes.

-- A reference copy: the same rows on every shard, written by `network/sectors.ts`.
create table sectors (
  code text collate "C" primary key,
  name text not null
);

create table companies (
  company_id text collate "C" primary key,
  name text not null,
  -- The name folded (case and diacritics) by `network/search-text.ts`: what listings order by.
  sort_name text collate "C" not null,
  sector text collate "C",
  sub_industry text,
  seat text,
  founded text,
  created_at text collate "C" not null,
  updated_at text collate "C" not null,
  -- Lexemes of identifiers (A), name (B) and the rest (C), folded by the same function that folds a query, so that the
  -- text-search configuration and locale of the server do not matter.
  search tsvector not null
);
create index companies_by_name on companies (sort_name, company_id);
create index companies_by_sector on companies (sector, sort_name, company_id);
create index companies_by_age on companies (created_at desc, company_id);
create index companies_by_search on companies using gin (search);

create table company_identifiers (
  company_id text collate "C" not null,
  scheme text collate "C" not null,
  value text collate "C" not null,
  primary key (company_id, scheme, value)
);
create index company_identifiers_by_value on company_identifiers (scheme, value);

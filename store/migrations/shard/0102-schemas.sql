-- JSON Schemas of the kinds of a company's records; the highest version of a kind is in force.
create table ledger_schemas (
  company_id text not null,
  kind text not null,
  version integer not null,
  schema text not null,
  primary key (company_id, kind, version)
);

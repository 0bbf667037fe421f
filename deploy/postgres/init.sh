#!/bin/bash
# Run once by the Postgres image, on an empty data directory: the role that the product connects as, its database, and,
# where REPLICATION_SLOTS names slots, what a streaming replica needs. Passwords go by psql variables, never by quoting.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
  --set password="$LEDGERWAY_PASSWORD" --set database="$LEDGERWAY_DATABASE" <<'SQL'
create role ledgerway login password :'password' in role pg_monitor;
create database :"database" owner ledgerway;
\connect :"database"
grant execute on function pg_promote(boolean, integer) to ledgerway;
SQL

if [ -n "${REPLICATION_SLOTS:-}" ]; then
  psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres \
    --set password="$REPLICATION_PASSWORD" <<'SQL'
create role replicator login replication password :'password';
SQL
  for slot in $REPLICATION_SLOTS; do
    psql --set ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname postgres --set slot="$slot" <<'SQL'
select pg_create_physical_replication_slot(:'slot');
SQL
  done
  echo 'host replication replicator all scram-sha-256' >>"$PGDATA/pg_hba.conf"
fi

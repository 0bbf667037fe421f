#!/bin/sh
# A streaming replica: on an empty volume it copies the primary, with its replication slot, then it follows it. The
# password lies in a file of mode 0600, since a command line can be read by all. Needs PRIMARY_HOST, REPLICATION_SLOT,
# REPLICATION_PASSWORD and PGDATA; the arguments are Postgres's command line.
set -eu

umask 077
passfile="$(dirname "$PGDATA")/replicator.pgpass"
mkdir -p "$(dirname "$PGDATA")"
printf '%s:%s:*:replicator:%s\n' "$PRIMARY_HOST" "${PRIMARY_PORT:-5432}" "$REPLICATION_PASSWORD" >"$passfile"
export PGPASSFILE="$passfile"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # A copy that was interrupted left half a directory: begin anew.
  rm -rf "$PGDATA.new"
  pg_basebackup --pgdata="$PGDATA.new" --host="$PRIMARY_HOST" --port="${PRIMARY_PORT:-5432}" --username=replicator \
    --slot="$REPLICATION_SLOT" --wal-method=stream --checkpoint=fast --write-recovery-conf
  rm -rf "$PGDATA"
  mv "$PGDATA.new" "$PGDATA"
fi
exec "$@"

#!/bin/sh
# The password goes by standard input: a command line can be read by every process of the host.
set -eu
exec redis-server - <<CONF
dir /data
appendonly yes
appendfsync everysec
save ""
maxmemory 768mb
maxmemory-policy noeviction
requirepass $REDIS_PASSWORD
CONF

#!/bin/sh
# Follows the change feed of one shard into a file: sink.ndjson, one CloudEvent a line.
# usage: KEY=… feed-consumer.sh http://127.0.0.1:4000/feed/shard-1
# `cursor` holds how far it came. It is written after the events, so a crash in between delivers some again:
# a sink tells them by `source` and `id`.
set -eu
feed=$1
[ -f cursor ] || echo 0 > cursor
while :; do
  if curl --fail --silent --show-error --header "x-api-key: $KEY" --dump-header headers --output batch \
    "$feed?after=$(cat cursor)"; then
    # 204: nothing came while it waited.
    if grep --quiet '^HTTP[^ ]* 200' headers; then
      cat batch >> sink.ndjson
      sed -n 's/^ledgerway-feed-next: \([0-9.]*\).*/\1/p' headers > cursor.new
      mv cursor.new cursor
    fi
  else
    sleep 1
  fi
done

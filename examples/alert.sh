#!/usr/bin/env bash
# Tells somebody when a disk fills up; end-to-end encrypted, from cron:
#
#   */10 * * * *  PATH=/usr/local/bin:/usr/bin:/bin /path/to/alert.sh @ops 90 / /home
#
# cron knows little of your environment: PATH has to name where chatctl is (`command -v chatctl` says it). The daemon is
# found without XDG_RUNTIME_DIR: it says in its data directory where its socket is.
#
# At most one message a day for each disk: the same --id with the same text is sent once, however often this runs. While
# the server cannot be reached the message waits in chatd and leaves by itself later.
set -euo pipefail

if [ $# -lt 3 ]; then
  echo "usage: alert.sh @USER PERCENT DIRECTORY..." >&2
  exit 64
fi
to=$1 limit=$2
shift 2
if ! command -v chatctl >/dev/null; then
  echo "alert.sh: no chatctl in $PATH: name its directory in the crontab line, as PATH=/usr/local/bin:/usr/bin:/bin" >&2
  exit 69
fi

for directory in "$@"; do
  used=$(df -P -- "$directory" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
  [ "$used" -ge "$limit" ] || continue
  printf '%s: the disk of %s is more than %s %% full\n' "$(uname -n)" "$directory" "$limit" |
    chatctl send "$to" - --id "disk-$(date +%F)-$directory" >/dev/null
done

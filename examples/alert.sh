#!/usr/bin/env bash
# Tells somebody when a disk fills up; end-to-end encrypted, from cron:
#
#   */10 * * * *  /path/to/alert.sh @ops 90 / /home
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

for directory in "$@"; do
  used=$(df -P -- "$directory" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
  [ "$used" -ge "$limit" ] || continue
  printf '%s: the disk of %s is more than %s %% full\n' "$(uname -n)" "$directory" "$limit" |
    chatctl send "$to" - --id "disk-$(date +%F)-$directory" >/dev/null
done

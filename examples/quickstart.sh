#!/usr/bin/env bash
# What `make demo` runs: a server, two people with their daemons, and everything they say, in a directory that is removed
# at the end. Needs Rust and a C compiler; with CHAT_BIN_DIR set it takes the programs from there and builds nothing.
# With KEEP=1 it stays up until Ctrl-C, to go on by hand.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -t 1 ] && bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m' || bold='' dim='' plain=''
headline() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
explain() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }

# --- build -----------------------------------------------------------------------------------------------------------
if [ -z "${CHAT_BIN_DIR:-}" ]; then
  command -v cargo >/dev/null || { echo 'Rust is missing: https://rustup.rs installs it' >&2; exit 69; }
  command -v cc >/dev/null || { echo 'A C compiler is missing: on Debian or Ubuntu, `apt install build-essential`' >&2; exit 69; }
  headline 'Building chat-server, chatd and chatctl (some minutes the first time, seconds later)'
  cargo build --locked --profile demo --package chat-server --package chatd --package chatctl --bins
  target=${CARGO_TARGET_DIR:-target}
  CHAT_BIN_DIR=$(cd "$target/demo" && pwd)
fi
PATH=$CHAT_BIN_DIR:$PATH

# --- a place that goes away, and processes that end ------------------------------------------------------------------
umask 077
place=$(mktemp -d "${TMPDIR:-/tmp}/chat-demo.XXXXXX")
running=''
cleanup() {
  trap '' INT TERM
  for process in $running; do kill "$process" 2>/dev/null || true; done
  for process in $running; do wait "$process" 2>/dev/null || true; done
  rm -rf "$place"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Nothing of the visitor's own chat, if there is one, is touched.
unset CHATD_PROFILE CHATD_SOCKET CHATD_DATA_DIR DB_HOST DB_USER DB_PASSWORD DB_PASS DB_NAME

await() { # file words: until the words stand in the file
  local tries=0
  until grep -q "$2" "$1" 2>/dev/null; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ]; then echo "quickstart: gave up waiting for '$2':" >&2; cat "$1" >&2; exit 70; fi
    sleep 0.1
  done
}

start_daemon() { # name
  # emptied here, not by the process that begins: else `ready` of the time before is found
  : >"$place/$1.log"
  chatd --data-dir "$place/$1" 2>"$place/$1.log" </dev/null &
  started=$!
  running="$running $started"
  await "$place/$1.log" ready
}

as() { # name words...: shows the command line and runs it
  local name=$1 word shown=chatctl
  shift
  for word in "$@"; do
    case $word in *[\ \!\?\']*) shown="$shown \"$word\"" ;; *) shown="$shown $word" ;; esac
  done
  printf '%s%s$%s %s\n' "$bold" "$name" "$plain" "$shown"
  CHATD_DATA_DIR="$place/$name" chatctl "$@"
}

reads() { # name chat count: as `listen` shows it, from the beginning, as soon as so many messages of others are there
  as "$1" listen --chat "$2" --since start --count "$3" 2>>"$place/talk.log"
}

# --- the tour --------------------------------------------------------------------------------------------------------
headline '1. A server, with its own embedded database'
chat-server init --data "$place/server" --listen 127.0.0.1:0 >/dev/null 2>"$place/init.log"
chat-server run --data "$place/server" >"$place/server.out" 2>"$place/server.log" </dev/null &
server=$!
running="$running $server"
await "$place/server.out" 'listening on'
address=$(sed -n 's/^listening on //p' "$place/server.out")
chat-server invite --data "$place/server" --public "$address" >"$place/invite"
explain "It listens on $address. Whoever has its invite may register."

headline '2. Alice and Bob, each with a daemon that holds the keys'
for name in alice bob; do
  start_daemon "$name"
  eval "daemon_of_$name=$started"
  printf 'the password %s chose\n' "$name" >"$place/$name.password"
  as "$name" register "$name" --invite-file "$place/invite" --password-file "$place/$name.password"
done
until [ "$(CHATD_DATA_DIR="$place/alice" chatctl who 2>/dev/null | wc -l)" -ge 2 ]; do sleep 0.1; done
as alice who

headline '3. The public room, which the server can read'
as alice send room:public "Good morning, everybody!" --wait accepted
reads bob room:public 1

headline '4. A private chat, which nobody else can read'
as alice send @bob "Are you there?" --wait delivered
as bob history @alice
as bob send @alice "Yes! Only you can read this." --wait delivered
as alice history @bob

headline '5. What the server keeps while Bob is away'
kill "$daemon_of_bob"
wait "$daemon_of_bob" 2>/dev/null || true
explain "Bob's daemon was stopped."
as alice send @bob "The door code is 4711." --wait accepted
explain 'In the mailbox of Bob the server has:'
chat-server mailbox peek --user bob --data "$place/server"
start_daemon bob
explain 'Bob is back, and reads:'
reads bob @alice 2

# --- going on by hand ------------------------------------------------------------------------------------------------
headline 'That was all of it.'
if [ -z "${KEEP:-}" ]; then
  cat <<END
To go on by hand, type   KEEP=1 make demo   which ends like this but leaves everything running, or begin for good:

  export PATH="$CHAT_BIN_DIR:\$PATH"
  chat-server init --data ~/chat-server --public localhost:8897    # prints the invite
  chat-server run --data ~/chat-server &
  chatd &
  chatctl register YOUR_NAME                                       # asks for the invite and a password
  chatctl send room:public "hello"

README.md goes on from there.
END
  exit
fi
cat <<END
Everything keeps running until you press Ctrl-C here. In another terminal:

  export PATH="$CHAT_BIN_DIR:\$PATH"
  CHATD_DATA_DIR=$place/bob chatctl listen

and in a third one:

  export PATH="$CHAT_BIN_DIR:\$PATH" CHATD_DATA_DIR=$place/alice
  chatctl send @bob "hello from my terminal" --wait delivered
  chatctl rpc chat.list
  chatctl register --help

A third person: start another daemon with   chatd --data-dir $place/carol
and register her with the invite in         $place/invite
END
wait "$server" || true

#!/usr/bin/env bash
# Follows a document that was made a script (examples/src/documents.rs), and does what its reader does beside typing.
#
#   documents.sh SCRIPT ADDRESS new|settled
#
# ADDRESS is of this machine, and this reader's alone: ports are those of the document.
#
# Everything it starts is in its process group, and ends with it.
set -eEuo pipefail

complain() { # which lines led to what failed
  local code=$? frame=0
  echo "failed with $code: $BASH_COMMAND" >&2
  while caller $frame >&2; do frame=$((frame + 1)); done
}
trap complain ERR
trap 'trap "" TERM; kill -TERM 0; wait' EXIT

# Whoever began this holds the other end of its input: gone without a word, nothing stays behind.
exec {owner}<&0 </dev/null
{ cat >/dev/null; kill -TERM 0; } <&"$owner" &

script=$1 address=$2 reader=$3
declare -A begun

# The documents' programs are built already; whether they name what the Makefile knows can be seen all the same.
make() { command make --dry-run "$@" >/dev/null; }

at_a_terminal() { # command...: on a terminal, until it asks for the next line and is told that there is none
  TERM=xterm python3 -c '
import os, pty, sys
def read(terminal):
    said = os.read(terminal, 4096)
    if b"> " in said:
        os.write(terminal, b"\x04")
    return said
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:], read)))' "$@"
}

# Where a person would be asked, the answers lie in files; and a conversation has a terminal, where Ctrl-D ends it.
(umask 077 && echo 'what the reader chose' >"$TMPDIR/password")
chatctl() {
  case " $* " in
    *' chat '*) at_a_terminal chatctl "$@"; return ;;
    *' --help '* | *' --password-file '* | *' --password-stdin '*) ;;
    *' register '* | *' login '*) set -- "$@" --password-file "$TMPDIR/password" ;;
  esac
  command chatctl "$@"
}

# Only this machine is listened to, at the address that is the reader's own.
chat-server() {
  case " $* " in *' run '*) set -- "$@" --listen "$address:8897" ;; esac
  command chat-server "${@/#localhost:/$address:}"
}
chatd() { command chatd "${@/#127.0.0.1:/$address:}"; }
curl() { command curl --connect-to "127.0.0.1::$address:" "$@"; }

until_it_says() { # line words: reads `from`; what comes later is shown too
  local said
  while IFS= read -r -t 60 said <&"$from"; do
    printf '%s\n' "$said"
    [[ $said != Traceback* ]] || cat <&"$from"
    if [[ $said == *"$2"* ]]; then
      (trap '' TERM && exec cat) <&"$from" &
      return
    fi
  done
  [ -z "$2" ] || { echo "line $1 never said: $2" >&2; return 1; }
}

begin() { # line command words: in the background, and on when it says the words
  local from
  mkfifo "$TMPDIR/begun-$1"
  eval "$2" >"$TMPDIR/begun-$1" 2>&1 &
  begun[$1]=$!
  exec {from}<"$TMPDIR/begun-$1"
  until_it_says "$1" "$3"
}

start() { # line command [words]: in the background, and on when a reader would see that it is there
  case $2 in
    *'chat-server run'*) begin "$1" "$2" "${3:-listening on}" ;;
    *python3*) begin "$1" "$2" "${3:-listens as}" ;;
    *) begin "$1" "$2" "${3:-ready}" ;;
  esac
}

snippet() { # line: runs the Python it reads until that has said something; a bot is then asked to end
  local file=$TMPDIR/snippet-$1.py
  cat >"$file"
  begin "$1" "exec python3 -u $file" ''
  if grep -q 'bot\.run()' "$file"; then kill "${begun[$1]}"; fi
}

elsewhere() { # line command: in another terminal
  eval "$2" >"$TMPDIR/begun-$1" 2>&1 &
  begun[$1]=$!
}

look_around() { # what was begun still runs, or has ended well
  local line
  for line in "${!begun[@]}"; do
    kill -0 "${begun[$line]}" 2>/dev/null || wait "${begun[$line]}" || {
      echo "what line $line began has failed" >&2
      [ -p "$TMPDIR/begun-$line" ] || cat "$TMPDIR/begun-$line" >&2
      return 1
    }
  done
}

again() { # line command: it says the same message's id each time
  local first second
  first=$(eval "$2")
  second=$(eval "$2")
  [ "${first##* }" = "${second##* }" ] || { echo "line $1 was not sent once: $first; $second" >&2; return 1; }
}

promised() { # line command words...: the words are said
  local said word
  said=$(eval "$2" 2>&1)
  printf '%s\n' "$said"
  for word in "${@:3}"; do
    [[ $said == *"$word"* ]] || { echo "line $1 did not say: $word" >&2; return 1; }
  done
}

if [ "$reader" = settled ]; then
  chat-server init --data ~/chat-server --public localhost:8897 >~/invite
  chmod 600 ~/invite
  start server 'chat-server run --data ~/chat-server'
  start alice chatd
  chatctl register alice --invite-file ~/invite
  start bob 'chatd --profile bob'
  chatctl --profile bob register bob --invite-file ~/invite
fi
# shellcheck source=/dev/null
source "$script"
look_around
trap '' TERM
echo "$script was followed"

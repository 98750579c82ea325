//! What stands below the help of each verb: what else to know, and examples.

/// The end of the help: exit codes, as `chatctl help` and the README list them.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
   0  success
   1  doctor found something wrong
  64  the command or its parameters are wrong
  65  in conflict with what happened meanwhile
  66  no such user, chat, message, consumer or file
  69  chatd is not running, or the server cannot be reached; there is no systemd
  70  a failure of chatd itself, of systemctl, or of the command given to --exec
  73  a file cannot be made, or is there already
  74  input, output or the event log failed
  75  too often, too large or too full: try later or send less
  76  wrong password, or a peer's identity or keys are not what they should be
  77  not logged in, or not allowed; a file is open to others
  79  a reset waits for its time: say the same again then

Targets are `@user`, `room:public` (everybody; the server can read it) and `self`.

Examples:
  chatctl register alice --invite-file invite.txt
  chatctl send @bob \"are you there?\"
  df -h | chatctl send @ops -
  chatctl listen --json --type message.new --count 1";

pub(super) const SEND: &str = "\
A message waits in chatd while the server or the peer is away: `chatctl outbox` shows it. A name that
the server does not know is refused, and nothing is sent. Messages to @user are end-to-end encrypted;
what is said in room:public can be read by the server.

A TEXT that begins with `-` stands behind `--`, so that a mistyped option is never sent to anybody.

Examples:
  chatctl send @bob \"are you there?\"
  chatctl send room:public \"hello everybody\"
  make 2>&1 | tail | chatctl send @alice -
  chatctl send @ops --id backup-2026-11-22 --wait delivered --timeout 1m \"backup done\"
  chatctl send @bob --ttl 1h --file secret.txt
  chatctl send @bob --in 10m \"time to go\"
  chatctl send @bob -- \"-5 degrees\"";

pub(super) const SEARCH: &str = "\
The first search after chatd was started reads the history: the newest 64 MiB of it, and says so if
there is more.

Examples:
  chatctl search invoice
  chatctl search deploy* failed --chat @ops --limit 5";

pub(super) const UNREAD: &str = "\
Examples:
  chatctl unread
  chatctl unread --format '{messages} in {chats} chats'";

pub(super) const LISTEN: &str = "\
Text goes to stdout a message a line; what else happens is told on stderr, unless its type is named
with --type: then it is a line too, and counts. With --json every event is a line. With --consumer chatd remembers what was handled, also while nobody listens.

--exec runs a shell command for every event, one after the other: its JSON on stdin, and CHAT_SEQ,
CHAT_TYPE, CHAT_CHAT, CHAT_FROM (whom it comes from or is about) and CHAT_ID in the environment. One that fails is tried 5 times.

Examples:
  chatctl listen
  chatctl listen --chat @bob --count 1
  chatctl listen --json --since 1742 --type message.new
  chatctl listen --type request.new --count 1
  chatctl listen --consumer deploy --type message.new --exec ./on-message";

pub(super) const CHAT: &str = "\
Enter sends; /help says what else there is. Messages come in while you type, and what became of
yours is written behind them. Whatever is shown is marked as read. Nothing typed is kept on disk.
It goes on by itself when chatd comes back. Ctrl-D, or Ctrl-C on an empty line, leaves.

It needs a terminal: scripts use `chatctl send` and `chatctl listen`.

Examples:
  chatctl chat @bob
  chatctl chat room:public";

pub(super) const RPC: &str = "\
Parameters with passwords or invites are refused as an argument, which other users could see;
write `-` and send them through stdin.

Examples:
  chatctl rpc daemon.info
  chatctl rpc identity.get '{\"user\":\"bob\"}'
  chatctl rpc account.login - < login.json";

pub(super) const REGISTER: &str = "\
The invite and the password are asked for, or come from files that only you can read, or from
lines of stdin. Making the keys takes a few seconds.

Examples:
  chatctl register alice
  chatctl register alice --invite-file invite.txt
  chatctl register bot --invite-file invite.txt --password-file password.txt";

pub(super) const LOGIN: &str = "\
The invite is not needed again where chatd knows the server. Where the account has a device
already, that one has to let this one in: `chatctl device approve` on both. If every other device
is lost, `chatctl reset alice` begins the account anew, with a new identity.

Examples:
  chatctl login alice
  chatctl login alice --invite-file invite.txt";

pub(super) const LOGOUT: &str = "\
Examples:
  chatctl logout
  chatctl logout --forget-keys --yes      # messages they protect are lost";

pub(super) const STATUS: &str = "\
Examples:
  chatctl status
  chatctl status --json | jq -r .health.connection.state";

pub(super) const PASSWD: &str = "\
Examples:
  chatctl passwd
  chatctl passwd --password-file old.txt --new-password-file new.txt";

pub(super) const WHO: &str = "\
A name a line.

Examples:
  chatctl who
  chatctl who | grep -qx bob && echo \"bob is there\"";

pub(super) const HISTORY: &str = "\
Oldest first. The ids of messages are what edit, delete, react and --reply-to want.

Examples:
  chatctl history @bob
  chatctl history room:public --limit 500 --json
  chatctl history @bob --ids --limit 5";

pub(super) const EXPORT: &str = "\
The file is made by chatd, readable by you alone; nothing is overwritten. `-` writes to stdout, and
nothing to the disk.

Examples:
  chatctl export everything.ndjson
  chatctl export bob.md --chat @bob --format md
  chatctl export - | gzip > everything.ndjson.gz";

pub(super) const EDIT: &str = "\
Examples:
  chatctl history self --ids --limit 1
  chatctl edit 01a20e16-4e97-76f1-b655-f437c5bde540 \"what I meant\"
  chatctl edit 01a20e16-4e97-76f1-b655-f437c5bde540 - < better.txt";

pub(super) const DELETE: &str = "\
Examples:
  chatctl delete 01a20e16-4e97-76f1-b655-f437c5bde540
  chatctl delete --everywhere 01a20e16-4e97-76f1-b655-f437c5bde540";

pub(super) const REACT: &str = "\
Examples:
  chatctl react 01a20e16-4e97-76f1-b655-f437c5bde540 👍
  chatctl react --remove 01a20e16-4e97-76f1-b655-f437c5bde540 👍";

pub(super) const OUTBOX: &str = "\
What waits leaves by itself once the server is there, and takes it: if it limits what is sent, or a
mailbox is full, that is said with the time of the next try. What failed stays here until it is sent
again or deleted; behind it stands why.

Examples:
  chatctl outbox
  chatctl outbox --json | jq -r 'select(.state == \"failed\") | .id'";

pub(super) const CANCEL: &str = "\
Examples:
  chatctl send @bob --in 10m \"time to go\"
  chatctl cancel 01a20e16-4e97-76f1-b655-f437c5bde540";

pub(super) const RESEND: &str = "\
Examples:
  chatctl resend 01a20e16-4e97-76f1-b655-f437c5bde540";

pub(super) const CONTACT: &str = "\
Nothing of it leaves this account.

Examples:
  chatctl contact list
  chatctl contact set @bob --alias Bobby --note \"likes tea\"
  chatctl contact block @mallory";

pub(super) const REQUESTS: &str = "\
With `chatctl settings --messages-from contacts_only`, what others write waits here: whom you have
not written to, noted, compared or accepted. This device tells them nothing; each of your
devices has the setting for itself. Without a verb, what waits is shown.

Examples:
  chatctl requests
  chatctl requests accept @carol
  chatctl requests decline @mallory";

pub(super) const VERIFY: &str = "\
At first contact the server says who somebody is. Comparing sixty digits, in a way the server cannot
touch, shows that it did not lie. While a change is undecided it decides for whom the digits fit.

Examples:
  chatctl verify @bob                     # shows the number, asks whether bob sees the same
  chatctl verify --qr                     # shows your code, for bob's camera
  chatctl verify @bob --qr - < code.txt   # what bob's code says
  chatctl verify @bob --json | jq -r .state
  chatctl send @bob --require-verified \"only if it is bob\"";

pub(super) const TRUST: &str = "\
Identities are pinned at first contact. Another one under the same name blocks what you send, until
you verify it or accept it here.

Examples:
  chatctl trust list
  chatctl trust show @bob
  chatctl trust accept @bob 5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8
  chatctl trust policy strict             # new devices of anybody get nothing until you compare
  chatctl trust policy --chat @bob notify
  chatctl trust unverify @bob";

pub(super) const DEVICE: &str = "\
A new device logs in, and both screens show sixty digits. Compare them, then say so on both,
in either order. A device that you did not expect: change your password, and let nobody in.

Examples:
  chatctl login alice                      # on the new device
  chatctl device approve                   # on one of the account; shows the digits and asks
  chatctl device approve --digits \"$DIGITS\"   # for a script that read the other screen
  chatctl device list
  chatctl device revoke 5f3c0a9be1d24c7790b1c2d3e4f5a6b7";

pub(super) const MUTE: &str = "\
Examples:
  chatctl mute @bob 8h
  chatctl mute room:public forever
  chatctl mute @bob off";

pub(super) const ARCHIVE: &str = "\
Examples:
  chatctl archive @bob
  chatctl archive @bob --undo";

pub(super) const SETTINGS: &str = "\
Without options it shows what is set, in words that can be said again.

Examples:
  chatctl settings
  chatctl settings --read-receipts false --history-days 90";

pub(super) const CONSUMERS: &str = "\
Events are kept until every consumer has acknowledged them: forget the ones that are gone.

Examples:
  chatctl consumers
  chatctl consumers forget old-bot";

pub(super) const KV: &str = "\
Examples:
  chatctl kv set bot state '{\"step\":2}'
  chatctl kv get bot state
  chatctl kv set bot state 3 --if-version 1      # fails if somebody was faster
  chatctl kv list bot";

pub(super) const TOKEN: &str = "\
A program with a token has its scopes and no others, also over HTTP. chatd keeps only a hash of it.

Examples:
  chatctl token create deploy --scope send,read:events --allow-to @ops --expires 30d --out deploy.token
  chatctl --token-file deploy.token send @ops \"done\"
  chatctl token list
  chatctl token revoke deploy";

pub(super) const AUDIT: &str = "\
Calls of tokens that change something, and all that were refused, the newest first.

Examples:
  chatctl audit
  chatctl audit --name deploy --limit 10";

pub(super) const SERVICE: &str = "\
A service of the user: it runs while you are logged in, and with `loginctl enable-linger` always.
Without systemd it says what to do instead, and exits with 69.

Examples:
  chatctl service install
  chatctl service install --on-demand     # starts with the first caller
  chatctl --profile work service install
  chatctl service status
  chatctl service logs -f
  chatctl service uninstall";

pub(super) const DOCTOR: &str = "\
Looks and changes nothing; exits with 1 if anything is wrong.

Examples:
  chatctl doctor
  chatctl doctor --json | jq -r 'select(.ok | not) | .fix'";

pub(super) const RESET: &str = "\
For who lost every device, or knows that somebody else has them: the account gets a new identity,
with this machine as its first device. Your old devices and the messages that wait for them will be
gone, and your peers will be warned.

While one of the old devices was seen lately the reset waits, so that it can still be cancelled
there: exit code 79, and `chatctl status` and `chatctl doctor` say until when. Say the same again
after that.

Examples:
  chatctl reset alice
  chatctl reset --cancel";

pub(super) const COMPLETIONS: &str = "\
Examples:
  chatctl completions bash > ~/.local/share/bash-completion/completions/chatctl
  chatctl completions zsh > ~/.zfunc/_chatctl
  chatctl completions fish > ~/.config/fish/completions/chatctl.fish";

pub(super) const MAN: &str = "\
Examples:
  chatctl man | man -l -
  chatctl man send | man -l -
  chatctl man requests accept | man -l -
  chatctl man --all ~/.local/share/man/man1";

pub(super) const PROFILE: &str = "\
A profile goes, end-to-end encrypted, to those you write to; the server never sees it. What others
say of themselves proves nothing: anybody may call themselves anything. Their user name is who they are.
The option --profile names a daemon, and has nothing to do with it.

Examples:
  chatctl profile
  chatctl profile set --name \"Build server\" --about \"tells what broke\" --bot yes
  chatctl profile show @bob";

#!/usr/bin/env python3
"""Takes the webhook of Prometheus' Alertmanager or of Grafana, and tells a chat what fires and what is resolved;
end-to-end encrypted.

    alertmanager_bot.py --to @ops [--listen 127.0.0.1:9095] [--token-file FILE]

In alertmanager.yml:

    receivers:
      - name: chat
        webhook_configs:
          - url: http://127.0.0.1:9095/
            http_config: {authorization: {credentials_file: FILE}}   # with --token-file

In Grafana: a contact point of the type Webhook with this URL and, with --token-file, the authorization header's scheme
`Bearer` and the token as credentials. What others send in the same form is taken too, whatever version it names.

It answers 200 only once chatd has stored the message, which then leaves by itself. If chatd is away it answers 503, and
the caller tries again: the message is named after the alerts, their states and beginnings, so that it is sent once.
That is also why reminders of what is known (`repeat_interval`) are not sent again.
"""

import argparse
import hashlib
import hmac
import http.server
import ipaddress
import json
import logging
import signal
import socketserver
import sys
import threading

from chatd_bot import ChatdError, Client, IdempotencyMismatch

#: Longest body that is read: 1 MiB, thousands of alerts.
MAX_BODY_BYTES = 1024 * 1024
#: What is too long is read and forgotten, up to 16 MiB, so that the caller hears why it is refused.
MAX_SKIPPED_BYTES = 16 * MAX_BODY_BYTES
#: Alerts and characters that are shown; the public room takes 8 KiB.
MAX_ALERTS, MAX_LINE_CHARS, MAX_TEXT_BYTES = 20, 300, 7_000
#: Longest wait for a caller that says nothing.
PATIENCE_S = 10

log = logging.getLogger("alertmanager_bot")


class Problem(Exception):
    """What is answered instead of 200."""

    def __init__(self, status, words):
        super().__init__(words)
        self.status = status


def checked(body):
    """A notification in Alertmanager's form, as far as it is used here: its shape counts, and not the version it names."""
    try:
        said = json.loads(body)
        if said["status"] not in ("firing", "resolved") or not said["alerts"]:
            raise ValueError
        alerts = [
            {"status": one["status"], "startsAt": one["startsAt"]}
            | {key: words(one.get(key)) for key in ("labels", "annotations")}
            for one in said["alerts"]
        ]
        texts = [said.get("groupKey", ""), *(one[key] for one in alerts for key in ("status", "startsAt"))]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError
        return {"status": said["status"], "groupKey": texts[0], "alerts": alerts, "more": left_out(said),
                "commonLabels": words(said.get("commonLabels"))}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Problem(400, "not a notification in the form of Alertmanager's webhook") from None


def words(given):
    """Labels or annotations: words by name. Whoever has none says nothing, or null."""
    given = given or {}
    if not all(isinstance(text, str) for text in given.values()):
        raise ValueError
    return given


def left_out(said):
    """How many alerts the caller left out itself."""
    count = said.get("truncatedAlerts") or 0
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0


def name_of(said):
    """The same for the same alerts in the same states: what makes a retry no second message."""
    alerts = sorted([sorted(alert["labels"].items()), alert["status"], alert["startsAt"]] for alert in said["alerts"])
    known = json.dumps([said["groupKey"], said["status"], alerts])
    return "alertmanager-" + hashlib.sha256(known.encode()).hexdigest()


def rendered(said):
    """The message: a headline, and a line for each alert."""
    alerts = said["alerts"]
    firing = [alert for alert in alerts if alert["status"] == "firing"]
    common = said["commonLabels"]
    what = common.get("alertname") or "alerts"
    head = f"🔥 {what}: {len(firing)} firing" if firing else f"✅ {what}: resolved"
    if firing and len(firing) < len(alerts):
        head += f", {len(alerts) - len(firing)} resolved"
    lines = [head]
    for alert in (firing + [alert for alert in alerts if alert not in firing])[:MAX_ALERTS]:
        lines.append(line_of(alert, common))
    more = max(len(alerts) - MAX_ALERTS, 0) + said["more"]
    if more:
        lines.append(f"and {more} more")
    text = "\n".join(lines).encode()
    return text[:MAX_TEXT_BYTES].decode(errors="ignore")


def line_of(alert, common):
    """One alert: its state, its words, and the labels that tell it from the others."""
    words = alert["annotations"].get("summary") or alert["annotations"].get("description") or ""
    own = {key: value for key, value in alert["labels"].items() if key not in common or key == "severity"}
    labels = " ".join(f"{key}={value}" for key, value in sorted(own.items()))
    since = f"since {alert['startsAt'][:16].replace('T', ' ')}"
    line = f"- {alert['status']}: " + "; ".join(part for part in (words, labels, since) if part)
    return line if len(line) <= MAX_LINE_CHARS else line[:MAX_LINE_CHARS] + "…"


class Webhook(http.server.BaseHTTPRequestHandler):
    """One request. `server` has the rest: `chat`, `to`, `token`."""

    timeout = PATIENCE_S
    server_version, sys_version = "alertmanager_bot", ""

    def do_POST(self):
        self.unread = self.length()
        try:
            self.take()
            status, words = 200, "stored"
        except Problem as problem:
            log.warning("%s %s", problem.status, problem)
            status, words = problem.status, str(problem)
        # a caller that still writes when the connection ends would not read the answer
        while 0 < self.unread <= MAX_SKIPPED_BYTES and self.read(min(self.unread, MAX_BODY_BYTES)):
            pass
        self.answer(status, words)

    def do_GET(self):
        """For monitors: whether a message could be stored now."""
        try:
            self.server.chat.call("daemon.info")
            self.answer(200, "ready")
        except ChatdError as error:
            self.answer(503, str(error))

    def take(self):
        self.authorize()
        # a page in somebody's browser has another host, or cannot say this type without asking first
        if not local(self.headers.get("Host", "")):
            raise Problem(403, "the host must be this machine")
        if self.headers.get_content_type() != "application/json":
            raise Problem(415, "the content type must be application/json")
        said = checked(self.body())
        try:
            sent = self.server.chat.send(self.server.to, rendered(said), client_id=name_of(said))
            log.info("%s%s", sent.id, " was sent before" if sent.duplicate else "")
        except IdempotencyMismatch:
            log.info("sent before, with other words")
        except ChatdError as error:
            raise Problem(503, f"not stored: {error}") from error

    def authorize(self):
        token = self.server.token
        given = self.headers.get("Authorization", "").encode(errors="replace")
        if token is not None and not hmac.compare_digest(given, b"Bearer " + token):
            raise Problem(401, "the token is missing or wrong")

    def length(self):
        """What the caller is about to say, in bytes; -1 if that cannot be known."""
        length = self.headers.get("Content-Length", "")
        return int(length) if length.isascii() and length.isdigit() and len(length) < 19 else -1

    def read(self, count):
        data = self.rfile.read(count)
        self.unread = self.unread - len(data) if data else 0
        return data

    def body(self):
        length = self.unread
        if length < 0:
            raise Problem(411, "the length must be given")
        if length > MAX_BODY_BYTES:
            raise Problem(413, f"more than {MAX_BODY_BYTES} bytes")
        body = self.read(length)
        if len(body) < length:
            raise Problem(400, "the body ends early")
        return body

    def answer(self, status, words):
        body = words.encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        # nobody needs a second request on it
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        log.debug(format, *args)


class Server(http.server.ThreadingHTTPServer):
    """Waits for the requests in hand when it ends."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address, chat, to, token):
        super().__init__(address, Webhook)
        self.chat, self.to, self.token = chat, to, token

    def server_bind(self):
        # the usual one asks the name service who this is
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def loopback(text):
    host, _, port = text.rpartition(":")
    try:
        if ipaddress.ip_address(host).is_loopback and 0 <= int(port) < 65_536:
            return host, int(port)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text} is not an address of this machine alone, as in 127.0.0.1:9095")


def local(host):
    """Whether a `Host` is localhost or an address of this machine alone; without one it is no browser."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        return name in ("", "localhost") or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def token_in(path):
    try:
        with open(path, "rb") as file:
            token = file.readline().strip()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    if not token:
        raise argparse.ArgumentTypeError(f"{path} is empty")
    return token


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, help="chat that is told, as in @ops")
    parser.add_argument("--listen", type=loopback, default="127.0.0.1:9095", metavar="ADDRESS:PORT")
    parser.add_argument("--token-file", type=token_in, metavar="FILE", help="first line: what callers must know")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    try:
        # Alertmanager waits and repeats by itself
        server = Server(given.listen, Client(timeout=5, patience=0), given.to, given.token_file)
    except (OSError, ChatdError) as error:
        sys.exit(f"alertmanager_bot.py: {error}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {server.server_name}:{server.server_port}", flush=True)
    with server:
        server.serve_forever()


if __name__ == "__main__":
    main()

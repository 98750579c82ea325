"""Independent clients of chatd's ways in: the libraries `websockets` and `sseclient`.

    callers.py websocket SOCKET                 hello, send and subscribe on the Unix socket
    callers.py websocket PORT TOKEN             the same on the loopback port
    callers.py events PORT TOKEN                server-sent events, broken off and resumed

Each prints one JSON object of what it saw.
"""

import json
import sys
import urllib.request

from sseclient import SSEClient
from websockets.sync.client import connect, unix_connect

TEXT = "said over a WebSocket"


def websocket(where, token=None):
    def call(chat, number, method, **params):
        chat.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
        while True:
            message = json.loads(chat.recv(timeout=60))
            if message.get("id") == number:
                return message["result"]

    if token is None:
        chat = unix_connect(where, "ws://localhost/ws")
    else:
        chat = connect(f"ws://127.0.0.1:{where}/ws", additional_headers={"Authorization": f"Bearer {token}"})
    with chat:
        hello = call(chat, 1, "hello", api="1", client="callers.py/1")
        sent = call(chat, 2, "msg.send", to="self", text=TEXT)
        call(chat, 3, "events.subscribe", **{"from": "start", "types": ["message.new"]})
        while True:
            event = json.loads(chat.recv(timeout=60))["params"]
            if event["data"]["id"] == sent["id"]:
                return {"api": hello["api"], "text": event["data"]["text"], "seq": event["seq"]}


def stream(port, token, query, last=None):
    """A stream of events, as a library that follows the specification of EventSource reads it."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    if last is not None:
        headers["Last-Event-ID"] = last
    request = urllib.request.Request(f"http://127.0.0.1:{port}/events?{query}", headers=headers)
    return SSEClient(urllib.request.urlopen(request, timeout=60))


def post(port, token, number, method, **params):
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/rpc", data=body, headers=headers)
    return json.load(urllib.request.urlopen(request, timeout=60))["result"]


def events(port, token):
    hello = post(port, token, 1, "hello", api="1", client="callers.py/1")
    sent = [post(port, token, 2 + n, "msg.send", to="self", text=f"event {n}")["id"] for n in range(4)]
    seen, last = [], None
    for _ in range(2):
        # two events each time; then the connection breaks, and the next goes on where this one was
        for event in stream(port, token, "from=start&types=message.new&chats=self", last).events():
            shown = json.loads(event.data)
            seen.append(shown["data"]["id"])
            last = event.id
            assert event.id == str(shown["seq"])
            if len(seen) % 2 == 0:
                break
    return {"api": hello["api"], "seen": seen, "sent": sent}


if __name__ == "__main__":
    print(json.dumps({"websocket": websocket, "events": events}[sys.argv[1]](*sys.argv[2:])))

"""A chatd of a few methods on a real Unix socket, which breaks where it is told to.

It keeps a log, consumers with manual acks, messages by ``client_id``, and values, as the real one promises it. The
stories in ``examples/tests`` run the same package against the real one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import tempfile
import threading
import uuid
from typing import Any, Callable

#: Longest wait for anything; far above what a slow machine under load needs.
DEADLINE_S = 60.0


#: Messages that fit an answer, as if all were long.
FIT = 3


class Refusal(Exception):
    """What a method answers instead of a result."""

    def __init__(self, code: int, kind: str, message: str, **data: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": {"kind": kind, "retryable": False, **data}}


class Cut(Exception):
    """The connection ends instead of an answer."""


class Peer:
    """One connection."""

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self._lock = threading.Lock()
        size = struct.calcsize("3i")
        self.pid, _, _ = struct.unpack("3i", made.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))

    def write(self, data: bytes) -> None:
        with self._lock:
            try:
                self.socket.sendall(data)
            except OSError:
                pass

    def say(self, value: Any) -> None:
        self.write(json.dumps(value).encode() + b"\n")

    def close(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


Fault = Callable[[Peer, Any], Any]


class FakeDaemon:
    """Use as a context manager; ``path`` is its socket."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="fake-", dir="/tmp")
        self.path = os.path.join(self._directory.name, "chat.sock")
        self.changed = threading.Condition()
        self.log: list[dict[str, Any]] = []
        self.acked: dict[str, int] = {}
        self.sent: dict[str, dict[str, Any]] = {}
        self.values: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.subscribers: dict[str, Peer] = {}
        self.most_inflight = 0
        self._faults: dict[str, list[Fault]] = {}
        self._peers: set[Peer] = set()
        self._listener: socket.socket | None = None

    def __enter__(self) -> FakeDaemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._directory.cleanup()

    def start(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Ends as a crash would; what was kept stays."""
        listener, self._listener = self._listener, None
        if listener is not None:
            os.unlink(self.path)
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        self.cut()

    def cut(self) -> None:
        """Ends every connection."""
        with self.changed:
            peers, self._peers = self._peers, set()
            self.subscribers.clear()
            self.changed.notify_all()
        for peer in peers:
            peer.close()

    def wait_for(self, what: str, found: Callable[[], Any]) -> Any:
        """Waits until ``found`` finds something."""
        with self.changed:
            outcome = self.changed.wait_for(found, DEADLINE_S)
        if not outcome:
            raise AssertionError(f"never saw {what}; calls: {self.calls[-20:]}; sent: {self.texts()}")
        return outcome

    def fault(self, method: str, fault: Fault) -> None:
        """Does this instead of the next call of the method; several come one after the other."""
        with self.changed:
            self._faults.setdefault(method, []).append(fault)

    def hear(self, text: str, sender: str = "alice", chat: str | None = None, **more: Any) -> str:
        """Somebody's message arrives."""
        id = str(uuid.uuid4())
        chat = chat or f"@{sender}"
        data = {"id": id, "chat": chat, "from": sender, "outgoing": False, "text": text, "sent_ms": 1, "stored_ms": 2}
        self.event("message.new", {**data, **more}, chat)
        return id

    def event(self, type: str, data: Any, chat: str | None = None, time_ms: int = 1_000) -> int:
        """Something happens."""
        with self.changed:
            seq = len(self.log) + 1
            event = {"seq": seq, "time_ms": time_ms, "type": type, "chat": chat, "data": data}
            self.log.append(event)
            self.changed.notify_all()
        return seq

    def texts(self) -> list[str]:
        """What was sent, each once."""
        return [one["text"] for one in self.sent.values()]

    def called(self, method: str) -> list[Any]:
        """Parameters of every call of this method."""
        return [params for name, params in list(self.calls) if name == method]

    def listening(self, consumer: str = "bot") -> Peer:
        """Waits for the subscriber."""
        peer: Peer = self.wait_for(f"{consumer} listening", lambda: self.subscribers.get(consumer))
        return peer

    def handled(self, seq: int, consumer: str = "bot") -> None:
        """Waits for the ack."""
        self.wait_for(f"the ack of {seq}", lambda: self.acked.get(consumer, 0) >= seq)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                made, _ = listener.accept()
            except OSError:
                return
            peer = Peer(made)
            with self.changed:
                self._peers.add(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: Peer) -> None:
        try:
            with peer.socket.makefile("rb") as lines:
                for line in lines:
                    self._answer(peer, line)
        except (OSError, ValueError, Cut):
            pass
        finally:
            with self.changed:
                self._peers.discard(peer)
                for name in [name for name, reader in self.subscribers.items() if reader is peer]:
                    del self.subscribers[name]
                self.changed.notify_all()
            peer.close()

    def _answer(self, peer: Peer, line: bytes) -> None:
        request = json.loads(line)
        method, params = request["method"], request["params"]
        try:
            with self.changed:
                self.calls.append((method, params))
                fault = self._faults[method].pop(0) if self._faults.get(method) else None
                self.changed.notify_all()
            answer = getattr(self, "on_" + method.replace(".", "_")) if fault is None else fault
            result = answer(peer, params)
        except Refusal as refusal:
            peer.say({"jsonrpc": "2.0", "id": request["id"], "error": refusal.error})
            return
        if result is not None:
            peer.say({"jsonrpc": "2.0", "id": request["id"], "result": result})
        if method == "events.subscribe" and result is not None:
            threading.Thread(target=self._pump, args=(peer, params, result["subscription"]), daemon=True).start()

    def _pump(self, peer: Peer, params: Any, subscription: str) -> None:
        name = params.get("consumer")
        at = self.acked[name] if name else 0
        newest = len(self.log)

        def gone() -> bool:
            return peer not in self._peers or bool(name and self.subscribers.get(name) is not peer)

        while True:
            with self.changed:
                most = params.get("max_inflight", 100)
                self.changed.wait_for(lambda: gone() or (at < len(self.log) and at - self.acked.get(name, at) < most))
                if gone():
                    return
                event = self.log[at]
                at += 1
                self.most_inflight = max(self.most_inflight, at - self.acked.get(name, at))
            if event["type"] in params.get("types", [event["type"]]) + ["gap"]:
                shown = {key: value for key, value in event.items() if value is not None}
                shown.update(subscription=subscription, replayed=at <= newest)
                peer.say({"jsonrpc": "2.0", "method": "event", "params": shown})
            elif name:
                self._ack(name, event["seq"])

    def _ack(self, name: str, seq: int) -> None:
        with self.changed:
            self.acked[name] = max(self.acked[name], seq)
            self.changed.notify_all()

    def on_hello(self, peer: Peer, params: Any) -> Any:
        if params["api"] != "1":
            raise Refusal(1024, "version_mismatch", "this daemon speaks version 1 of the API")
        return {"api": "1", "daemon": "fake/1", "features": []}

    def on_account_status(self, peer: Peer, params: Any) -> Any:
        return {"state": "ready", "user": "robot"}

    def on_events_subscribe(self, peer: Peer, params: Any) -> Any:
        with self.changed:
            name = params.get("consumer")
            if name:
                begin = 0 if params.get("from") == "start" else len(self.log)
                self.acked.setdefault(name, begin)
                self.subscribers[name] = peer
                self.changed.notify_all()
        return {"subscription": f"s{id(peer)}", "next_seq": 1, "oldest_seq": 1}

    def on_events_ack(self, peer: Peer, params: Any) -> Any:
        self._ack(params["consumer"], params["seq"])
        return {}

    def on_msg_send(self, peer: Peer, params: Any) -> Any:
        with self.changed:
            key = params["client_id"]
            known = self.sent.get(key)
            if known and (known["to"], known["text"]) != (params["to"], params["text"]):
                raise Refusal(1051, "idempotency_mismatch", "another body under this client_id")
            if not known:
                self.sent[key] = {**params, "id": str(uuid.uuid4())}
            self.changed.notify_all()
            return {"id": self.sent[key]["id"], "chat": params["to"], "state": "queued", "duplicate": known is not None}

    def on_msg_list(self, peer: Peer, params: Any) -> Any:
        with self.changed:
            own = [
                {"id": one["id"], "chat": one["to"], "from": "robot", "text": one["text"], "client_id": key}
                for key, one in self.sent.items()
                if one["to"] == params["to"]
            ]
        ids = [one["id"] for one in own]
        low = ids.index(params["after"]) + 1 if "after" in params else 0
        high = ids.index(params["before"]) if "before" in params else len(own)
        near, size = own[low:high], min(params["limit"], FIT)
        page = near[:size] if "after" in params else near[-size:]
        return {"messages": page, "more": len(page) < len(near)}

    def on_msg_react(self, peer: Peer, params: Any) -> Any:
        return {"id": params["id"], "chat": "@alice", "from": "alice", "text": ""}

    def on_msg_edit(self, peer: Peer, params: Any) -> Any:
        return {"id": params["id"], "chat": "@alice", "from": "robot", "text": params["text"]}

    def on_msg_wait(self, peer: Peer, params: Any) -> Any:
        return {"id": params["id"], "state": params["state"], "recipients": []}

    def on_daemon_health(self, peer: Peer, params: Any) -> Any:
        return {"live": True, "ready": True}

    def on_presence_list(self, peer: Peer, params: Any) -> Any:
        return {"users": [{"user": "alice", "me": False}, {"user": "robot", "me": True}]}

    def on_chat_mark_read(self, peer: Peer, params: Any) -> Any:
        return {"chat": params["to"], "unread": 0}

    def on_kv_get(self, peer: Peer, params: Any) -> Any:
        with self.changed:
            found = self.values.get((params["scope"], params["key"]))
        if found is None:
            raise Refusal(1010, "not_found", "no such value")
        return found

    def on_kv_set(self, peer: Peer, params: Any) -> Any:
        place = (params["scope"], params["key"])
        with self.changed:
            version = self.values[place]["version"] if place in self.values else 0
            if params.get("if_version", version) != version:
                raise Refusal(1050, "conflict", f"the version is {version}")
            self.values[place] = {"key": params["key"], "value": params["value"], "version": version + 1}
            return self.values[place]

    def on_kv_delete(self, peer: Peer, params: Any) -> Any:
        with self.changed:
            if self.values.pop((params["scope"], params["key"]), None) is None:
                raise Refusal(1010, "not_found", "no such value")
        return {}

    def on_kv_list(self, peer: Peer, params: Any) -> Any:
        with self.changed:
            keys = sorted(key for scope, key in self.values if scope == params["scope"])
            keys = [key for key in keys if key.startswith(params.get("prefix", "")) and key > params.get("after", "")]
            page = [self.values[(params["scope"], key)] for key in keys[: params["limit"]]]
        return {"entries": page, "more": len(keys) > len(page)}


def cut(peer: Peer, params: Any) -> Any:
    """Fault: the connection ends, the call had no effect."""
    raise Cut


def kill(peer: Peer, params: Any) -> Any:
    """Fault: the caller's process is killed, the call had no effect."""
    os.kill(peer.pid, signal.SIGKILL)
    raise Cut


def silent(peer: Peer, params: Any) -> Any:
    """Fault: no answer comes."""
    return None


def refuse(code: int, kind: str, message: str, **data: Any) -> Fault:
    """Fault: the daemon refuses."""

    def fault(peer: Peer, params: Any) -> Any:
        raise Refusal(code, kind, message, **data)

    return fault


def after(daemon: FakeDaemon, method: str, fault: Fault) -> Fault:
    """Fault: the call has its effect, and then something happens instead of its answer."""

    def both(peer: Peer, params: Any) -> Any:
        getattr(daemon, "on_" + method.replace(".", "_"))(peer, params)
        return fault(peer, params)

    return both

"""The session against a daemon of a few lines: nothing is missed or sent twice, whoever goes away."""

import json
import os
import queue
import socket
import tempfile
import threading
import time
import unittest

from chatwindow.client import Client
from chatwindow.model import Model
from chatwindow.session import Session

DEADLINE_S = 30


class ToyDaemon:
    """Answers calls from a table, for as long as it runs."""

    def __init__(self, path):
        self.path, self.calls, self.answers, self.peer = path, queue.Queue(), {}, None
        self.seen = []

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        # a thread that waits in accept keeps a closed listener open
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self.peer:
            self.peer.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener):
        try:
            while True:
                self.peer, _ = listener.accept()
                self._serve(self.peer)
        except OSError:
            pass

    def _serve(self, peer):
        with peer, peer.makefile("rb") as lines:
            for line in lines:
                call = json.loads(line)
                self.seen.append((call["method"], call["params"]))
                answer = self.answers.get(call["method"], {})
                if answer == "silence":
                    continue
                key = "error" if "code" in answer else "result"
                self.say({"jsonrpc": "2.0", "id": call["id"], key: answer})

    def say(self, line):
        try:
            self.peer.sendall(json.dumps(line).encode() + b"\n")
        except OSError:
            pass

    def event(self, seq, kind, chat=None, /, **data):
        self.say(
            {"jsonrpc": "2.0", "method": "event", "params": {"seq": seq, "type": kind, "chat": chat, "data": data}}
        )

    def asked(self, method):
        return [params for name, params in list(self.seen) if name == method]


def message(number, chat="room:public"):
    return {
        "id": f"m{number}",
        "chat": chat,
        "from": "bob",
        "outgoing": False,
        "text": f"text {number}",
        "sent_ms": number,
        "stored_ms": number,
    }


class Story(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="chat-", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.daemon = ToyDaemon(os.path.join(folder.name, "sock"))
        self.daemon.answers = {
            "events.subscribe": {"next_seq": 8, "oldest_seq": 1},
            "account.status": {"state": "ready", "user": "alice"},
            "daemon.health": {"connection": {"state": "online"}},
            "chat.list": {"chats": []},
            "presence.list": {"users": []},
            "msg.list": {"messages": [], "more": False},
            "chat.get": {"id": "room:public", "unread": 0},
            "chat.mark_read": {"unread": 0},
        }
        self.model, self.refusals = Model(), []
        self.client = Client(lambda: self.daemon.path)
        self.addCleanup(self.client.close)
        self.session = Session(self.client, self.model, lambda _: None, lambda *words: self.refusals.append(words))

    def begin(self):
        self.daemon.start()
        self.addCleanup(self.daemon.stop)
        self.client.start()
        self.until(lambda: self.model.inside)

    def until(self, true):
        end = time.monotonic() + DEADLINE_S
        while not true():
            self.assertLess(time.monotonic(), end, f"never happened; asked for: {self.daemon.seen}")
            self.session.tick()
            self.client.hurry()
            threading.Event().wait(0.005)


class Coming(Story):
    def test_a_daemon_that_comes_late_is_found(self):
        self.client.start()
        self.until(lambda: self.model.link is not None)
        self.assertIn("no such file", self.model.link.why)
        self.daemon.start()
        self.addCleanup(self.daemon.stop)
        self.until(lambda: self.model.inside)
        self.assertIsNone(self.model.link)

    def test_it_goes_on_behind_the_last_event_it_handled(self):
        self.begin()
        self.daemon.event(8, "message.new", "room:public", **message(1))
        self.until(lambda: self.model.seq == 8)
        self.daemon.stop()
        self.until(lambda: self.model.link is not None)
        self.daemon.start()
        self.until(lambda: len(self.daemon.asked("events.subscribe")) == 2)
        self.assertEqual([asked["from"] for asked in self.daemon.asked("events.subscribe")], ["now", 8])

    def test_another_log_is_begun_anew(self):
        self.begin()
        self.daemon.event(80, "message.new", "room:public", **message(1))
        self.until(lambda: self.model.seq == 80)
        self.daemon.stop()
        self.until(lambda: self.model.link is not None)
        self.daemon.answers["events.subscribe"] = {
            "code": 1060,
            "message": "the log ends at 3",
            "data": {"kind": "cursor_trimmed"},
        }
        self.daemon.start()
        self.until(lambda: len(self.daemon.asked("events.subscribe")) >= 3)
        self.assertEqual(self.daemon.asked("events.subscribe")[-1], {"from": "now"})
        self.assertEqual(self.model.chat.timeline.messages, [])


class Sending(Story):
    def test_a_send_whose_answer_was_lost_is_repeated_under_its_key(self):
        self.begin()
        self.daemon.answers["msg.send"] = "silence"
        self.session.send("@bob", "hello", self.fail)
        self.until(lambda: self.daemon.asked("msg.send"))
        self.daemon.stop()
        self.until(lambda: self.model.link is not None)
        self.daemon.answers["msg.send"] = {"id": "m1", "state": "queued"}
        self.daemon.start()
        self.until(lambda: len(self.daemon.asked("msg.send")) == 2)
        first, second = self.daemon.asked("msg.send")
        self.assertEqual(first, second)
        self.assertTrue(first["client_id"])

    def test_what_is_refused_comes_back_with_the_daemons_words(self):
        self.begin()
        self.daemon.answers["msg.send"] = {
            "code": 1015,
            "message": "bob is blocked",
            "data": {"kind": "blocked", "hint": "chatctl unblock"},
        }
        back = []
        self.session.send("@bob", "hello", back.append)
        self.until(lambda: self.refusals)
        self.assertEqual(back, ["hello"])
        self.assertEqual((self.refusals[0][1].message, self.refusals[0][1].hint), ("bob is blocked", "chatctl unblock"))


class Reading(Story):
    def test_a_page_is_asked_for_once_and_then_the_one_before(self):
        self.daemon.answers["msg.list"] = {"messages": [message(5)], "more": True}
        self.begin()
        self.session.open("room:public")
        self.session.older()
        self.until(lambda: self.model.chat.timeline.more is not None)
        self.session.older()
        self.until(lambda: len(self.daemon.asked("msg.list")) == 2)
        self.assertNotIn("before", self.daemon.asked("msg.list")[0])
        self.assertEqual(self.daemon.asked("msg.list")[1]["before"], "m5")

    def test_nothing_is_seen_before_the_first_page_is_there(self):
        self.begin()
        self.daemon.event(8, "message.new", "room:public", **message(1))
        self.until(lambda: self.model.chat.timeline.messages)
        self.session.seen()
        self.session.open("room:public")
        self.until(lambda: self.model.chat.timeline.more is not None)
        self.assertEqual(self.daemon.asked("chat.mark_read"), [])

    def test_what_was_seen_is_marked_once(self):
        self.begin()
        self.session.open("room:public")
        self.until(lambda: self.model.chat.timeline.more is not None)
        self.daemon.event(8, "message.new", "room:public", **message(1))
        self.until(lambda: self.model.chat.timeline.messages)
        self.session.seen()
        self.session.seen()
        self.until(lambda: self.daemon.asked("chat.mark_read"))
        self.session.seen()
        self.until(lambda: self.daemon.asked("chat.get"))
        self.assertEqual(self.daemon.asked("chat.mark_read"), [{"to": "room:public", "up_to": "m1"}])

    def test_a_flood_is_handled_in_small_parts_and_completely(self):
        self.begin()
        flood = threading.Thread(
            target=lambda: [
                self.daemon.event(seq, "message.new", "room:public", **message(seq)) for seq in range(8, 3008)
            ]
        )
        flood.start()
        turns = []

        def done():
            started = time.monotonic()
            self.session.tick()
            turns.append(time.monotonic() - started)
            return self.model.seq == 3007

        self.until(done)
        flood.join()
        self.assertEqual(len(self.model.chat.timeline.messages), 3000)
        self.assertGreater(len(turns), 1, "the window would not answer meanwhile")


if __name__ == "__main__":
    unittest.main()

"""Calls, streams and namespaces, of both clients."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import unittest
from typing import Any

from chatd_bot import (
    AsyncClient,
    Client,
    Conflict,
    Disconnected,
    IdempotencyMismatch,
    InvalidParams,
    NoAnswer,
    NoSocket,
    NotRunning,
    RateLimited,
    SubscriptionEnded,
)

from .fake import FakeDaemon, after, cut, refuse, silent


class Blocking:
    """Makes an async object look like its blocking twin, so that one test tries both."""

    def __init__(self, loop: asyncio.AbstractEventLoop, twin: Any) -> None:
        self._loop, self._twin = loop, twin

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._twin, name)
        return self._blocking(found) if callable(found) else found

    def _blocking(self, method: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            outcome = method(*args, **more)
            if inspect.isawaitable(outcome):
                outcome = asyncio.run_coroutine_threadsafe(outcome, self._loop).result()  # type: ignore[arg-type]
            mine = type(outcome).__module__.startswith("chatd_bot.aio")
            return Blocking(self._loop, outcome) if mine else outcome

        return call


class ClientTests:
    """What both promise."""

    daemon: FakeDaemon

    def client(self, **options: Any) -> Any:
        raise NotImplementedError

    def stream(self: Any, *args: Any, **options: Any) -> Any:
        events = self.client().events(*args, **options)
        self.addCleanup(events.close)
        return events

    def test_a_call_gives_the_result_and_takes_any_method(self: Any) -> None:
        self.assertEqual(self.client().call("account.status")["user"], "robot")
        self.assertEqual(self.client().me(), "robot")
        self.assertEqual(self.client().online(), ["alice"])
        self.assertEqual(self.client().wait("id", "read", timeout=2), "read")
        self.assertEqual(self.daemon.called("msg.wait"), [{"id": "id", "state": "read", "timeout_ms": 2000}])

    def test_history_gives_as_many_as_are_wanted_though_few_fit_an_answer(self: Any) -> None:
        client = self.client()
        ids = [client.send("@alice", str(number)).id for number in range(10)]

        def texts(limit: int, **place: str) -> list[str]:
            return [message.text for message in client.history("@alice", limit, **place)]

        self.assertEqual(texts(8), [str(number) for number in range(2, 10)])
        self.assertEqual(texts(600), [str(number) for number in range(10)])
        self.assertEqual(texts(5, after=ids[0]), ["1", "2", "3", "4", "5"])
        self.assertEqual(texts(5, before=ids[9]), ["4", "5", "6", "7", "8"])

    def test_calls_after_each_other_use_one_connection_that_said_hello(self: Any) -> None:
        client = self.client()
        for _ in range(5):
            client.me()
        self.assertEqual(len(self.daemon.called("hello")), 1)

    def test_a_refusal_has_its_type_and_leaves_the_connection_usable(self: Any) -> None:
        client = self.client()
        self.daemon.fault("msg.send", refuse(-32602, "invalid_params", "bad", path="to"))
        with self.assertRaises(InvalidParams) as raised:
            client.send("nobody", "x")
        self.assertEqual(raised.exception.path, "to")
        self.daemon.fault("msg.send", refuse(1030, "rate_limited", "slow", retryable=True, retry_after_ms=5))
        with self.assertRaises(RateLimited) as slow:
            client.send("@bob", "x")
        self.assertEqual((slow.exception.retryable, slow.exception.retry_after_ms), (True, 5))
        client.me()
        self.assertEqual(len(self.daemon.called("hello")), 1)

    def test_a_send_whose_answer_is_lost_is_repeated_and_sends_once(self: Any) -> None:
        self.daemon.fault("msg.send", after(self.daemon, "msg.send", cut))
        sent = self.client().send("@bob", "hi", reply_to=None, ttl_s=60)
        self.assertTrue(sent.duplicate)
        self.assertEqual(self.daemon.texts(), ["hi"])
        first, second = self.daemon.called("msg.send")
        self.assertEqual(first, second)
        self.assertEqual(sorted(first), ["client_id", "text", "to", "ttl_s"])

    def test_the_same_client_id_sends_once_and_another_text_under_it_is_refused(self: Any) -> None:
        client = self.client()
        first = client.send("@bob", "hi", client_id="k")
        second = client.send("@bob", "hi", client_id="k")
        self.assertEqual((first.id, first.duplicate, second.duplicate), (second.id, False, True))
        with self.assertRaises(IdempotencyMismatch):
            client.send("@bob", "other", client_id="k")

    def test_a_bare_call_is_never_repeated(self: Any) -> None:
        client = self.client()
        client.me()
        self.daemon.fault("msg.send", cut)
        with self.assertRaises(Disconnected):
            client.call("msg.send", to="@bob", text="x", client_id="k")
        self.assertEqual(len(self.daemon.called("msg.send")), 1)

    def test_it_outlives_a_restart_of_the_daemon(self: Any) -> None:
        client = self.client()
        client.me()
        self.daemon.stop()
        again = threading.Timer(0.3, self.daemon.start)
        again.start()
        self.assertEqual(client.send("@bob", "hi").state, "queued")
        again.join()

    def test_without_a_daemon_it_says_how_to_start_one(self: Any) -> None:
        self.daemon.stop()
        with self.assertRaises(NotRunning) as raised:
            self.client(patience=0).me()
        self.assertIn("chatd is not running: " + self.daemon.path, str(raised.exception))
        self.assertIn("start it with `chatd`", raised.exception.hint)
        with self.assertRaises(NoSocket):
            self.client(socket="/tmp/" + "x" * 200).me()

    def test_a_call_without_answer_ends_in_time_and_the_next_one_works(self: Any) -> None:
        client = self.client(timeout=0.2)
        self.daemon.fault("account.status", silent)
        with self.assertRaises(NoAnswer):
            client.me()
        self.assertEqual(client.me(), "robot")

    def test_broken_lines_end_the_connection_and_not_the_client(self: Any) -> None:
        for broken in (b"nonsense\n", b'{"id":', b"[]\n"):

            def fault(peer: Any, params: Any, broken: bytes = broken) -> Any:
                peer.write(broken)
                return cut(peer, params)

            self.daemon.fault("account.status", fault)
            self.assertEqual(self.client().me(), "robot", broken)

    def test_an_error_about_no_request_is_about_ours(self: Any) -> None:
        def fault(peer: Any, params: Any) -> Any:
            error = {"code": 1033, "message": "frame too large", "data": {"kind": "frame_too_large"}}
            peer.say({"jsonrpc": "2.0", "id": None, "error": error})

        self.daemon.fault("msg.send", fault)
        with self.assertRaisesRegex(Exception, "frame too large"):
            self.client().send("@bob", "x")

    def test_a_stream_shows_events_in_order_without_heartbeats(self: Any) -> None:
        events = self.stream("reader", begin="start")
        for text in ("one", "two"):
            self.daemon.hear(text)
        peer = self.daemon.listening("reader")
        first = events.next()
        beat = {"subscription": f"s{id(peer)}", "time_ms": 1, "type": "heartbeat", "data": {"seq": 9}}
        peer.say({"jsonrpc": "2.0", "method": "event", "params": beat})
        self.daemon.hear("three")
        found = [first, events.next(), events.next()]
        self.assertEqual([event.data["text"] for event in found], ["one", "two", "three"])
        self.assertEqual([event.seq for event in found], [1, 2, 3])
        self.assertEqual(found[0].sender, "alice")
        events.ack(2)
        self.assertEqual(self.daemon.acked["reader"], 2)

    def test_an_event_in_pieces_and_in_front_of_the_answer_is_kept(self: Any) -> None:
        def fault(peer: Any, params: Any) -> Any:
            line = b'{"jsonrpc":"2.0","method":"event","params":{"subscription":"s","seq":1,"type":"t","data":{}}}\n'
            for at in range(len(line)):
                peer.write(line[at : at + 1])
            return {"subscription": "s", "next_seq": 1, "oldest_seq": 1}

        self.daemon.fault("events.subscribe", fault)
        self.assertEqual(self.stream().next().type, "t")

    def test_a_stream_ends_by_its_loss_its_replacement_or_silence(self: Any) -> None:
        events = self.stream("reader")
        self.daemon.cut()
        with self.assertRaises(Disconnected):
            events.next()
        events = self.stream("reader")
        peer = self.daemon.listening("reader")
        ended = {"subscription": f"s{id(peer)}", "type": "subscription.ended", "data": {"reason": "replaced"}}
        peer.say({"jsonrpc": "2.0", "method": "event", "params": ended})
        with self.assertRaises(SubscriptionEnded) as raised:
            events.next()
        self.assertEqual(raised.exception.reason, "replaced")
        with self.assertRaisesRegex(Disconnected, "not even a heartbeat"):
            self.stream("reader", silence=0.1).next()

    def test_a_namespace_keeps_values_with_versions(self: Any) -> None:
        namespace = self.client().kv("bot")
        self.assertEqual(namespace.get("n", 7), 7)
        self.assertEqual(namespace.set("n", {"a": [1, None]}, if_version=0), 1)
        self.assertEqual(namespace.get("n"), {"a": [1, None]})
        self.assertEqual(namespace.set("none", None), 1)
        self.assertEqual((namespace.get("none", 7), namespace.look("none").version), (None, 1))
        with self.assertRaises(Conflict):
            namespace.set("n", 1, if_version=0)
        self.assertTrue(namespace.delete("n"))
        self.assertFalse(namespace.delete("n"))

    def test_an_update_looks_again_when_somebody_was_faster(self: Any) -> None:
        namespace = self.client().kv("bot")
        namespace.set("n", 1)

        def change(value: int) -> int:
            if value == 1:
                self.daemon.on_kv_set(None, {"scope": "bot", "key": "n", "value": 10})
            return value + 1

        self.assertEqual(namespace.update("n", change), 11)
        self.assertEqual(namespace.update("new", lambda value: value + ["x"], default=[]), ["x"])

    def test_a_namespace_lists_more_than_a_page(self: Any) -> None:
        for number in range(1001):
            self.daemon.on_kv_set(None, {"scope": "bot", "key": f"k{number:04}", "value": number})
        items = self.client().kv("bot").items("k")
        self.assertEqual(list(items.values()), list(range(1001)))


class Case(unittest.TestCase):
    """A fresh daemon for each test."""

    def setUp(self) -> None:
        self._after = contextlib.ExitStack()
        self.daemon = self._after.enter_context(FakeDaemon())
        self.addCleanup(self._after.close)


class SyncClientTest(ClientTests, Case):
    def client(self, **options: Any) -> Any:
        client = Client(options.pop("socket", self.daemon.path), **options)
        self._after.callback(client.close)
        return client

    def test_threads_share_a_client_and_one_that_waits_delays_no_other(self) -> None:
        client, release = self.client(), threading.Event()

        def slow(peer: Any, params: Any) -> Any:
            release.wait(10)
            return {"id": "x", "state": "read", "recipients": []}

        self.daemon.fault("msg.wait", slow)
        waiter = threading.Thread(target=client.wait, args=("x", "read"))
        waiter.start()
        self.daemon.wait_for("the wait", lambda: self.daemon.called("msg.wait"))

        def pour(who: int) -> None:
            for number in range(20):
                client.send("@bob", f"{who} {number}")

        threads = [threading.Thread(target=pour, args=(who,)) for who in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(waiter.is_alive())
        release.set()
        waiter.join()
        texts = self.daemon.texts()
        self.assertEqual(len(texts), 800)
        for who in range(40):
            own = [text for text in texts if text.startswith(f"{who} ")]
            self.assertEqual(own, [f"{who} {number}" for number in range(20)], "each thread's order holds")
        self.assertLessEqual(len(self.daemon.called("hello")), 16)


class AsyncClientTest(ClientTests, Case):
    def setUp(self) -> None:
        super().setUp()
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()

        async def end() -> None:
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            # one more round, in which transports close
            await asyncio.sleep(0)

        def finish() -> None:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

        self.addCleanup(finish)

    def client(self, **options: Any) -> Any:
        client = AsyncClient(options.pop("socket", self.daemon.path), **options)
        self.addCleanup(lambda: self._loop.call_soon_threadsafe(client.close))
        return Blocking(self._loop, client)

    def test_tasks_share_a_client_and_a_cancelled_call_harms_no_other(self) -> None:
        async def story() -> None:
            client = AsyncClient(self.daemon.path)
            self.daemon.fault("msg.wait", silent)
            waiting = asyncio.ensure_future(client.wait("x"))
            await asyncio.gather(*(client.send("@bob", str(number)) for number in range(100)))
            waiting.cancel()
            self.assertEqual(await client.me(), "robot")
            client.close()

        asyncio.run_coroutine_threadsafe(story(), self._loop).result()
        self.assertEqual(len(self.daemon.texts()), 100)
        self.assertLessEqual(len(self.daemon.called("hello")), 16)


if __name__ == "__main__":
    unittest.main()

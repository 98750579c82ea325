"""What both bots promise: nothing lost, nothing twice, and no bad message stops them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import unittest
from typing import Any, Callable

from chatd_bot import AsyncBot, AsyncClient, Bot, Client, CrashLoop, RateGuard, Refused, SubscriptionEnded, UsageError
from chatd_bot.handling import IN_HAND

from .fake import FakeDaemon, after, cut, refuse


class BotTests:
    """Handlers here return what ``reply`` returns, so that both kinds of bot can run them."""

    daemon: FakeDaemon

    def bot(self, name: str = "bot", **rules: Any) -> Any:
        raise NotImplementedError

    def run_bot(self: Any, bot: Any) -> Callable[[], Any]:
        """Runs it in a thread, and returns what ends it and gives what it raised."""
        raised: list[BaseException] = []

        def run() -> None:
            try:
                bot.run()
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()

        def end() -> Any:
            bot.stop()
            thread.join(30)
            self.assertFalse(thread.is_alive())
            return raised[0] if raised else None

        def joined() -> Any:
            thread.join(30)
            return end()

        self.addCleanup(end)
        self.ended = joined
        return end

    def echo(self: Any, **rules: Any) -> Any:
        bot = self.bot(**rules)
        bot.on("message.new")(lambda m: m.reply(m.text))
        return bot

    def test_each_message_is_answered_once_and_acknowledged_behind_its_handler(self: Any) -> None:
        end = self.run_bot(self.echo())
        self.daemon.listening()
        ids = [self.daemon.hear(f"text {number}") for number in range(250)]
        self.daemon.handled(250)
        self.assertIsNone(end())
        self.assertEqual(self.daemon.texts(), [f"text {number}" for number in range(250)])
        self.assertEqual(list(self.daemon.sent)[:2], [f"bot:{ids[0]}:1", f"bot:{ids[1]}:1"])
        seqs = [params["seq"] for params in self.daemon.called("events.ack")]
        self.assertEqual(seqs, list(range(1, 251)))
        self.assertLessEqual(self.daemon.most_inflight, 100)

    def test_a_lost_connection_at_any_call_loses_and_repeats_nothing(self: Any) -> None:
        bot = self.echo()
        for fault in (cut, after(self.daemon, "msg.send", cut)):
            self.daemon.fault("msg.send", fault)
        for fault in (cut, after(self.daemon, "events.ack", cut)):
            self.daemon.fault("events.ack", fault)
        self.run_bot(bot)
        self.daemon.listening()
        for number in range(5):
            self.daemon.hear(str(number))
            if number == 2:
                self.daemon.cut()
        self.daemon.handled(5)
        self.assertEqual(self.daemon.texts(), list("01234"))

    def test_it_waits_for_a_daemon_that_is_away_and_answers_what_came_meanwhile(self: Any) -> None:
        self.daemon.stop()
        self.run_bot(self.echo())
        self.daemon.start()
        self.daemon.listening()
        self.daemon.stop()
        for number in range(3):
            self.daemon.hear(str(number))
        self.daemon.start()
        self.daemon.handled(3)
        self.assertEqual(self.daemon.texts(), list("012"))

    def test_a_daemon_that_is_only_silent_is_left_for_a_new_connection(self: Any) -> None:
        self.run_bot(self.echo(silence=0.2))
        first = self.daemon.listening()
        self.daemon.wait_for("another connection", lambda: self.daemon.subscribers.get("bot") not in (None, first))

    def test_a_bot_that_comes_back_goes_on_behind_its_last_ack(self: Any) -> None:
        self.run_bot(self.echo())()
        self.daemon.wait_for("the end", lambda: "bot" not in self.daemon.subscribers)
        self.daemon.acked.setdefault("bot", 0)
        self.daemon.hear("while away")
        self.run_bot(self.echo())
        self.daemon.handled(1)
        self.assertEqual(self.daemon.texts(), ["while away"])

    def test_a_handler_that_raises_is_run_again_and_answers_once(self: Any) -> None:
        bot, tries = self.bot(retry_pause=0), []

        @bot.on()
        def flaky(m: Any) -> Any:
            tries.append(m.text)
            if len(tries) < 3:
                raise RuntimeError("not yet")
            return m.reply(f"at last {len(tries)}")

        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("go")
        self.daemon.handled(1)
        self.assertEqual(self.daemon.texts(), ["at last 3"])

    def test_a_message_no_handler_survives_is_given_up_told_and_stops_nothing(self: Any) -> None:
        bot, told = self.bot(retry_pause=0), []

        @bot.on()
        def handler(m: Any) -> Any:
            if m.text == "poison":
                raise RuntimeError("cannot")
            return m.reply(m.text)

        @bot.on_failure
        def failed(m: Any, error: Exception) -> Any:
            told.append((m.text, str(error)))
            return m.reply("sorry")

        self.run_bot(bot)
        self.daemon.listening()
        id = self.daemon.hear("poison")
        self.daemon.hear("fine")
        self.daemon.handled(2)
        self.assertEqual(told, [("poison", "cannot")])
        self.assertEqual(self.daemon.texts(), ["sorry", "fine"])
        self.assertEqual(list(self.daemon.sent)[0], f"bot:{id}:failed:1")

    def test_a_failing_hook_stops_nothing_either(self: Any) -> None:
        bot = self.bot(attempts=1)

        @bot.on()
        def handler(m: Any) -> Any:
            raise RuntimeError("cannot")

        @bot.on_failure
        def failed(m: Any, error: Exception) -> Any:
            raise RuntimeError("nor this")

        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("x")
        self.daemon.handled(1)

    def test_what_the_daemon_refuses_for_good_is_not_tried_again(self: Any) -> None:
        bot, told = self.echo(), []
        bot.on_failure(lambda m, error: told.append(error.kind))
        self.daemon.fault("msg.send", refuse(1040, "identity_changed", "the identity changed"))
        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("x")
        self.daemon.handled(1)
        self.assertEqual(told, ["identity_changed"])
        self.assertEqual(len(self.daemon.called("msg.send")), 1)

    def test_the_daemons_word_when_to_try_again_is_kept(self: Any) -> None:
        bot = self.echo(retry_pause=0)
        self.daemon.fault("msg.send", refuse(1030, "rate_limited", "slow", retryable=True, retry_after_ms=200))
        self.run_bot(bot)
        self.daemon.listening()
        began = time.monotonic()
        self.daemon.hear("x")
        self.daemon.handled(1)
        self.assertGreaterEqual(time.monotonic() - began, 0.2)
        self.assertEqual(self.daemon.texts(), ["x"])

    def test_an_answer_that_went_out_stands_when_the_next_run_says_something_else(self: Any) -> None:
        bot, runs = self.bot(retry_pause=0), []

        @bot.on()
        def handler(m: Any) -> Any:
            runs.append(None)
            return m.reply(f"run {len(runs)}")

        self.daemon.fault("events.ack", cut)
        self.daemon.fault("events.ack", cut)
        bot.client.patience = 0
        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("go")
        self.daemon.handled(1)
        self.assertEqual(len(runs), 3)
        self.assertEqual(self.daemon.texts(), ["run 1"])

    def test_a_start_that_always_ends_with_the_same_message_gives_it_up(self: Any) -> None:
        seq = 1
        self.daemon.acked["bot"] = 0
        self.daemon.hear("deadly")
        self.daemon.values[("bot", IN_HAND)] = {"key": IN_HAND, "value": {"seq": seq, "starts": 2}, "version": 2}
        bot, told = self.echo(crashes=2), []
        bot.on_failure(lambda m, error: told.append(type(error)))
        self.run_bot(bot)
        self.daemon.handled(1)
        self.daemon.hear("fine")
        self.daemon.handled(2)
        self.assertEqual(told, [CrashLoop])
        self.assertEqual(self.daemon.texts(), ["fine"])

    def test_starts_are_counted_only_for_the_first_message_of_a_backlog(self: Any) -> None:
        self.daemon.acked["bot"] = 0
        for number in range(3):
            self.daemon.hear(str(number))
        self.run_bot(self.echo())
        self.daemon.handled(3)
        self.assertEqual([params["value"] for params in self.daemon.called("kv.set")], [{"seq": 1, "starts": 1}])

    def test_commands_get_their_words_and_wrong_ones_are_told_the_usage(self: Any) -> None:
        bot = self.bot()

        @bot.on(command="/deploy")
        def deploy(m: Any, target: str, times: int = 1) -> Any:
            """Deploys."""
            return m.reply(f"{target} x {times}")

        @bot.on(command="/fail")
        def fail(m: Any) -> Any:
            raise UsageError("say please")

        @bot.on(command="/words")
        def say(m: Any) -> Any:
            return m.reply("|".join(m.args))

        self.run_bot(bot)
        self.daemon.listening()
        for text in ("/deploy web 2", "/deploy", "/fail", '/words a "b c"', "/help", "nothing for anybody"):
            self.daemon.hear(text)
        self.daemon.handled(6)
        usage = "/deploy TARGET [TIMES]"
        shown = ["web x 2", f"usage: {usage}", "say please", "a|b c", f"{usage} - Deploys.\n/fail\n/words"]
        self.assertEqual(self.daemon.texts(), shown)

    def test_own_words_are_never_answered(self: Any) -> None:
        bot = self.bot()
        bot.on(chat="*")(lambda m: m.reply(m.text))
        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("mine", sender="robot", chat="room:public")
        self.daemon.hear("mine too", outgoing=True)
        self.daemon.hear("theirs", chat="room:public")
        self.daemon.handled(3)
        self.assertEqual(self.daemon.texts(), ["theirs"])

    def test_two_polite_bots_fall_silent(self: Any) -> None:
        self.run_bot(self.echo(guard=RateGuard(limit=5, per=60)))
        self.daemon.listening()
        for _ in range(20):
            self.daemon.hear("hello")
        self.daemon.hear("and you?", sender="bob")
        self.daemon.handled(21)
        self.assertEqual(self.daemon.texts(), ["hello"] * 5 + ["and you?"])

    def test_a_gap_is_handed_to_who_asks_and_survived_by_all(self: Any) -> None:
        bot, gaps = self.echo(), []
        bot.on("gap")(lambda event: gaps.append(event.event.data))
        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.event("gap", {"from": 3, "to": 9})
        self.daemon.handled(1)
        self.assertEqual(gaps, [{"from": 3, "to": 9}])

    def test_a_bot_whose_name_was_taken_ends_and_says_so(self: Any) -> None:
        self.run_bot(self.echo())
        peer = self.daemon.listening()
        ended = {"subscription": f"s{id(peer)}", "type": "subscription.ended", "data": {"reason": "replaced"}}
        peer.say({"jsonrpc": "2.0", "method": "event", "params": ended})
        error = self.ended()
        self.assertIsInstance(error, SubscriptionEnded)
        self.assertIn("another reader took this name", str(error))

    def test_a_subscription_that_is_refused_for_good_is_an_error(self: Any) -> None:
        self.daemon.fault("events.subscribe", refuse(-32602, "invalid_params", "no such type", path="types[0]"))
        self.run_bot(self.echo())
        self.assertIsInstance(self.ended(), Refused)

    def test_a_device_that_waits_for_approval_or_a_passphrase_is_waited_for(self: Any) -> None:
        hint = "compare the digits with `chatctl device approve`"
        for kind in ("approval_required", "locked"):
            self.daemon.fault("events.subscribe", refuse(1005, kind, "not let in yet", hint=hint))
        with self.assertLogs("chatd_bot", "WARNING") as logged:
            self.run_bot(self.echo())
            self.daemon.listening()
        self.assertEqual(logged.output[0].count(f"not let in yet ({hint})"), 1, logged.output)
        self.daemon.hear("x")
        self.daemon.handled(1)
        self.assertEqual(self.daemon.texts(), ["x"])

    def test_the_start_hook_runs_once_and_may_call(self: Any) -> None:
        bot = self.echo()
        bot.on_start(lambda bot: bot.send("@ops", f"{bot.me} is here", client_id="here"))
        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("x")
        self.daemon.handled(1)
        self.daemon.cut()
        self.daemon.listening()
        self.daemon.hear("y")
        self.daemon.handled(2)
        self.assertEqual(len([1 for params in self.daemon.called("msg.send") if params["to"] == "@ops"]), 1)
        self.assertEqual(self.daemon.texts(), ["robot is here", "x", "y"])

    def test_stop_finishes_the_event_in_hand(self: Any) -> None:
        bot = self.bot()

        @bot.on()
        def handler(m: Any) -> Any:
            bot.stop()
            return m.reply(m.text)

        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("first")
        self.daemon.hear("second")
        self.assertIsNone(self.ended())
        self.assertEqual((self.daemon.texts(), self.daemon.acked["bot"]), (["first"], 1))

    def test_stop_does_not_wait_for_a_retry_and_leaves_the_event(self: Any) -> None:
        bot = self.bot(retry_pause=3600)

        @bot.on()
        def handler(m: Any) -> Any:
            bot.stop()
            raise RuntimeError("later")

        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("x")
        self.assertIsNone(self.ended())
        self.assertEqual(self.daemon.acked["bot"], 0)

    def test_nonsense_between_events_costs_a_connection_and_no_event(self: Any) -> None:
        self.run_bot(self.echo())
        for number, broken in enumerate((b"nonsense\n", b'{"jsonrpc":"2.0","method":"event","params":{"seq":1,')):
            peer = self.daemon.listening()
            peer.write(broken)
            peer.close()
            self.daemon.hear(str(number))
            self.daemon.handled(number + 1)
        self.assertEqual(self.daemon.texts(), ["0", "1"])

    def test_names_and_rules_that_cannot_be_are_refused(self: Any) -> None:
        for wrong in ({"name": "a b"}, {"name": ""}, {"attempts": 0}, {"crashes": 0}):
            with self.assertRaises(ValueError, msg=wrong):
                self.bot(**wrong)


class Case(unittest.TestCase):
    def setUp(self) -> None:
        stack = contextlib.ExitStack()
        self.daemon = stack.enter_context(FakeDaemon())
        self.addCleanup(stack.close)
        log = logging.getLogger("chatd_bot")
        quiet = logging.NullHandler()
        log.addHandler(quiet)
        log.propagate = False
        self.addCleanup(log.removeHandler, quiet)


class SyncBotTest(BotTests, Case):
    def bot(self, name: str = "bot", **rules: Any) -> Bot:
        client = Client(self.daemon.path)
        self.addCleanup(client.close)
        bot = Bot(name, client, **rules)
        self.addCleanup(bot._wake.close)
        self.addCleanup(bot._waker.close)
        return bot

    def test_a_coroutine_function_is_refused_where_nobody_awaits_it(self) -> None:
        async def handler(m: Any) -> None: ...

        with self.assertRaisesRegex(TypeError, "AsyncBot"):
            self.bot().on()(handler)


class AsyncBotTest(BotTests, Case):
    def bot(self, name: str = "bot", **rules: Any) -> AsyncBot:
        return AsyncBot(name, AsyncClient(self.daemon.path), **rules)

    def test_coroutine_functions_answer_several_times_in_order(self) -> None:
        bot = self.bot()

        @bot.on()
        async def handler(m: Any) -> None:
            for part in m.text.split():
                await m.reply(part)
            await m.react("👍")
            await bot.kv.update("seen", lambda seen: seen + [m.text], [])

        self.daemon.fault("events.ack", cut)
        self.run_bot(bot)
        self.daemon.listening()
        self.daemon.hear("a b c")
        self.daemon.handled(1)
        self.assertEqual(self.daemon.texts(), ["a", "b", "c"])


if __name__ == "__main__":
    unittest.main()

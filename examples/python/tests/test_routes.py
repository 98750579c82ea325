"""Who gets an event, and with which arguments."""

from __future__ import annotations

import sys
import unittest
from typing import Any, Literal, Optional

from chatd_bot import ROOM, Event, RateGuard, UsageError
from chatd_bot.commands import Command, words
from chatd_bot.incoming import Received
from chatd_bot.routes import Router, route


def message(text: str, sender: str = "alice", chat: str | None = None, **more: Any) -> Event:
    data = {"id": "m", "from": sender, "text": text, "outgoing": False, **more}
    return Event("message.new", data, seq=1, chat=chat or f"@{sender}")


def router(*declared: "tuple[str, dict[str, Any]]") -> Router:
    made = Router()
    for name, filters in declared:

        def handler(incoming: Any) -> None:
            """Words about it."""

        handler.__name__ = name
        given = {
            "type": "message.new",
            "command": None,
            "chat": None,
            "user": None,
            "matches": None,
            "bots": False,
            **filters,
        }
        made.add(route(handler, **given))
    return made


def found(made: Router, event: Event, me: str = "robot") -> str | None:
    hit = made.find(event, me)
    return hit[0].handler.__name__ if hit else None


class RouterTest(unittest.TestCase):
    def test_commands_come_first_then_the_order_of_declaration(self) -> None:
        made = router(("all", {}), ("later", {}), ("deploy", {"command": ("/deploy", "/d")}))
        self.assertEqual(found(made, message("hi")), "all")
        for text in ("/deploy web", "  /d", "/deploy\nweb"):
            self.assertEqual(found(made, message(text)), "deploy", text)
        for text in ("/deployed", "/Deploy", "please /deploy", "/"):
            self.assertEqual(found(made, message(text)), "all", text)

    def test_own_and_deleted_messages_are_nobodys(self) -> None:
        made = router(("all", {"chat": "*"}), ("signs", {"type": "message.reaction", "chat": "*"}))
        self.assertIsNone(found(made, message("hi", outgoing=True)))
        self.assertIsNone(found(made, message("", deleted=True)))
        self.assertIsNone(found(made, message("hi", sender="robot", chat=ROOM)))
        sign = Event("message.reaction", {"id": "m", "user": "robot", "emoji": "x"}, chat="@alice")
        self.assertIsNone(found(made, sign))
        self.assertEqual(found(made, Event("message.reaction", {"id": "m", "user": "alice"}, chat="@alice")), "signs")

    def test_other_bots_are_heard_only_when_asked_for(self) -> None:
        made = router(("people", {}), ("bots", {"bots": True}))
        self.assertEqual(found(made, message("hi", from_bot=True)), "bots")
        self.assertEqual(found(made, message("hi", from_bot=False)), "people")

    def test_the_public_room_is_heard_only_when_named(self) -> None:
        self.assertIsNone(found(router(("all", {})), message("hi", chat=ROOM)))
        for chat in (ROOM, "*", ["@bob", ROOM]):
            self.assertEqual(found(router(("all", {"chat": chat})), message("hi", chat=ROOM)), "all", chat)

    def test_filters_of_chat_and_user_take_names_in_any_form(self) -> None:
        made = router(("ops", {"user": ["@Alice", "carol"]}), ("bob", {"chat": "@Bob"}))
        self.assertEqual(found(made, message("hi", "alice")), "ops")
        self.assertEqual(found(made, message("hi", "carol")), "ops")
        self.assertEqual(found(made, message("hi", "bob")), "bob")
        self.assertIsNone(found(made, message("hi", "dave")))
        self.assertIsNone(found(router(("nobody", {"user": []})), message("hi")), "an empty list is nobody")

    def test_a_pattern_is_about_the_whole_text(self) -> None:
        made = router(("yes", {"matches": r"yes|deploy (\w+)"}))
        self.assertEqual(found(made, message(" YES\n")), "yes")
        hit = made.find(message("deploy web"), "robot")
        self.assertEqual(hit and hit[1].match and hit[1].match[1], "web")
        self.assertIsNone(found(made, message("yes please")))

    def test_help_lists_what_the_asker_may_use(self) -> None:
        made = router(("a", {"command": "/a"}), ("b", {"command": "/b", "user": "bob"}), ("all", {}))
        self.assertEqual(made.help(message("/help", "bob")), "/a - Words about it.\n/b - Words about it.")
        self.assertEqual(made.help(message("/help", "alice")), "/a - Words about it.")
        self.assertEqual(found(made, message("/help")), "_tell")
        self.assertEqual(found(router(("mine", {"command": "/help"})), message("/help")), "mine")
        self.assertEqual(
            found(router(("all", {})), message("/help")), "all", "without commands it is a text like others"
        )

    def test_events_of_no_chat_pass_and_only_what_is_wanted_is_asked_for(self) -> None:
        made = router(("link", {"type": "connection", "chat": "@bob"}))
        self.assertEqual(found(made, Event("connection", {"state": "online"})), "link")
        self.assertEqual(made.types(), ["connection"])

    def test_declarations_that_can_never_fit_are_refused(self) -> None:
        for wrong in ({"command": "/two words"}, {"command": ""}, {"command": "/x", "type": "presence"}):
            with self.assertRaises(ValueError, msg=wrong):
                router(("x", wrong))


class CommandTest(unittest.TestCase):
    def bound(self, handler: Any, text: str) -> "list[Any]":
        return Command("/x", handler).bind(words(text)[1:])

    def test_words_keep_quotes_together_and_expand_nothing(self) -> None:
        self.assertEqual(
            words('/x "two words" it\'s $HOME `id` a;b #c \\n'),
            [
                "/x",
                "two words",
                "it's",
                "$HOME",
                "`id`",
                "a;b",
                "#c",
                "\\n",
            ],
        )
        self.assertEqual(words('/x "never closed'), ["/x", '"never', "closed"])

    def test_annotations_convert(self) -> None:
        def handler(
            m: "Only.FOR.CHECKERS",  # type: ignore[name-defined]  # noqa: F821
            target: Literal["web", "db"],
            count: int = 1,
            force: bool = False,
            ratio: Optional[float] = None,  # noqa: UP045
        ) -> None: ...

        self.assertEqual(self.bound(handler, "/x web"), ["web"])
        self.assertEqual(self.bound(handler, "/x db 3 yes 0.5"), ["db", 3, True, 0.5])
        usage = "usage: /x web|db [COUNT] [FORCE] [RATIO]"
        for wrong, words_ in (
            ("/x", usage),
            ("/x web 1 no 1 more", usage),
            ("/x mail", f"TARGET: `mail` is none of web, db\n{usage}"),
            ("/x web many", f"COUNT: `many` is not a number\n{usage}"),
            ("/x web 1 maybe", f"FORCE: `maybe` is neither yes nor no\n{usage}"),
        ):
            with self.assertRaises(UsageError) as raised:
                self.bound(handler, wrong)
            self.assertEqual(str(raised.exception), words_)

    def test_an_annotation_that_means_nothing_is_refused_when_it_is_declared(self) -> None:
        def handler(m: Any, target: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

        with self.assertRaisesRegex(TypeError, "target: .*Nowhere"):
            Command("/x", handler)

    @unittest.skipIf(sys.version_info < (3, 10), "Python 3.9 does not know this notation")
    def test_unions_are_read_in_both_notations(self) -> None:
        def handler(m: Any, count: int | None = None) -> None: ...

        self.assertEqual(self.bound(handler, "/x 3"), [3])

    def test_the_rest_may_be_taken_and_any_function_converts(self) -> None:
        def even(word: str) -> int:
            if int(word) % 2:
                raise ValueError(f"`{word}` is odd")
            return int(word)

        def handler(m, first, *rest: even): ...  # type: ignore[no-untyped-def,valid-type]

        handler.__annotations__["rest"] = even
        self.assertEqual(self.bound(handler, "/x a 2 4"), ["a", 2, 4])
        self.assertEqual(Command("/x", handler).usage(), "/x FIRST [REST...]")
        with self.assertRaisesRegex(UsageError, "REST: `3` is odd"):
            self.bound(handler, "/x a 3")

    def test_a_handler_without_parameters_gets_the_message_alone(self) -> None:
        self.assertFalse(Command("/x", lambda m: None).wants_words)


class GuardTest(unittest.TestCase):
    def test_a_loop_ends_and_a_chat_that_fell_silent_is_answered_again(self) -> None:
        guard = RateGuard(limit=3, per=10, quiet=10)
        for number in range(3):
            self.assertTrue(guard.allows("@bot", number * 100))
            guard.answered("@bot", number * 100)
        self.assertFalse(guard.allows("@bot", 400))
        self.assertTrue(guard.allows("@alice", 400), "others are not concerned")
        self.assertFalse(guard.allows("@bot", 10_000), "it was not silent yet")
        self.assertTrue(guard.allows("@bot", 20_000))

    def test_a_backlog_of_hours_is_no_loop(self) -> None:
        guard = RateGuard(limit=2, per=10)
        for hour in range(100):
            self.assertTrue(guard.allows("@alice", hour * 3_600_000))
            guard.answered("@alice", hour * 3_600_000)

    def test_what_is_not_answered_does_not_count_and_memory_is_bounded(self) -> None:
        guard = RateGuard(limit=1, per=10)
        for _ in range(100):
            self.assertTrue(guard.allows("@feed", 1))
        for number in range(3_000):
            guard.answered(f"@{number}", 1)
            guard.allows(f"@{number}", 2)
        self.assertLessEqual(len(guard._answered) + len(guard._alone), 2_000)


class ReceivedTest(unittest.TestCase):
    def test_answers_are_named_after_the_message_and_counted(self) -> None:
        from chatd_bot.incoming import base
        from chatd_bot.routes import Trigger

        def keys(event: Event) -> "list[str]":
            one = Received("bot", event, Trigger(), lambda _: None, base(event))
            return [one._key(None), one._key("end"), one._key(None)]

        self.assertEqual(keys(message("hi")), ["bot:m:1", "bot:m:end", "bot:m:2"])
        edited = Event("message.edited", {"id": "m"}, seq=9)
        self.assertEqual(keys(edited), ["bot:event-9:1", "bot:event-9:end", "bot:event-9:2"])


if __name__ == "__main__":
    unittest.main()

"""Texts, times and states as they are shown."""

import calendar
import time
import unittest

from chatwindow import words
from chatwindow.client import Down
from chatwindow.model import Model


class TextsOfOthers(unittest.TestCase):
    def test_atk_61_nothing_is_shown_that_could_fool_the_reader(self):
        self.assertEqual(words.escape("a\x1b]0;title\x07b"), "a\\u{1b}]0;title\\u{7}b")
        self.assertEqual(words.escape("bob\nalice: yes\r\t"), "bob\\nalice: yes\\r\\t")
        treacherous = "\u202eevil\u2066\u200b\x9b31m\x7f"
        self.assertEqual(words.escape(treacherous), "\\u{202e}evil\\u{2066}\\u{200b}\\u{9b}31m\\u{7f}")

    def test_what_people_write_is_shown_as_it_is(self):
        for text in ("grüß dich", "👩‍🚀", "עברית", "한국어", "tiếng Việt", "e\u0301"):
            self.assertEqual(words.escape(text), text)

    def test_half_a_character_does_not_reach_the_screen(self):
        self.assertEqual(words.escape("\ud83d"), "\\u{d83d}")

    def test_marks_do_not_paint_over_the_lines_around(self):
        shown = words.escape("Z" + "\u0301" * 50)
        self.assertEqual(shown.count("\u0301"), words.MAX_MARKS)
        self.assertTrue(shown.endswith("\\u{301}"))

    def test_a_screen_that_dies_of_emoji_gets_none(self):
        words.Screen.draws_emoji = False
        self.addCleanup(setattr, words.Screen, "draws_emoji", True)
        self.assertEqual(words.escape("cake 🎂"), "cake \\u{1f382}")

    def test_a_long_text_is_cut_and_says_by_how_much(self):
        shown, left = words.body("x" * 60_000)
        self.assertEqual((len(shown), left), (words.MAX_SHOWN_CHARACTERS, 60_000 - words.MAX_SHOWN_CHARACTERS))
        shown, left = words.body("y\n" * 100)
        self.assertEqual(shown.count("\n"), words.MAX_SHOWN_LINES - 1)
        self.assertEqual(words.body("y\n" * 100, more=1), ("y\n" * 100, 0))
        shown, left = words.body("🎂" * 1_000)
        self.assertEqual((len(shown), left), (200, 800))
        self.assertEqual(words.body("short\n\tand good"), ("short\n    and good", 0))

    def test_lines_are_one_line_of_bounded_length(self):
        self.assertEqual(words.line("a\nb"), "a\\nb")
        self.assertEqual(len(words.line("a" * 1_000, 50)), 50)


class Times(unittest.TestCase):
    def at(self, *when):
        return int(time.mktime((*when, 0, 0, 0, 0, 0, -1)[:9])) * 1000

    def test_days_have_the_names_people_use(self):
        now = self.at(2026, 3, 1)
        self.assertEqual(words.day(now, now), "Today")
        self.assertEqual(words.day(self.at(2026, 2, 28), now), "Yesterday")
        self.assertEqual(words.day(self.at(2026, 2, 27), now), "Friday, 27 February")
        self.assertEqual(words.day(self.at(2025, 2, 27), now), "Thursday, 27 February 2025")

    def test_days_are_counted_as_the_calendar_does(self):
        for year, month, day in ((2000, 2, 29), (2024, 12, 31), (2026, 1, 1), (2026, 3, 1)):
            apart = words.time_to_days(year, month, day) - words.time_to_days(1970, 1, 1)
            self.assertEqual(apart * 86_400, calendar.timegm((year, month, day, 0, 0, 0)))

    def test_times_no_calendar_has_are_survived(self):
        for millis in (2**64 - 1, 10**30):
            self.assertEqual(words.clock(millis), "--:--")
            self.assertEqual(words.day(millis, 0), "At no known time")
            self.assertEqual(words.when(millis, 0), "--:--")


class States(unittest.TestCase):
    def own(self, state, **more):
        return words.mark({"outgoing": True, "chat": "@bob", "state": state, **more})

    def test_own_messages_say_how_far_they_are(self):
        self.assertEqual(
            [self.own(state) for state in ("queued", "accepted", "delivered", "read")],
            ["◷ waiting", "✓", "✓✓", "✓✓ read"],
        )
        self.assertEqual(self.own("failed", error="not_found"), "✗ not sent: not found")

    def test_others_and_notes_have_no_mark(self):
        self.assertEqual(words.mark({"outgoing": False, "chat": "@bob"}), "")
        self.assertEqual(words.mark({"outgoing": True, "chat": "self", "state": "read"}), "")

    def test_states_of_tomorrow_are_survived(self):
        self.assertEqual(self.own("of_tomorrow"), "of_tomorrow")

    def test_safety_numbers_are_groups_of_five(self):
        shown = words.groups("0123456789" * 6)
        self.assertEqual(len(shown.split()), 12)
        self.assertEqual({len(group) for group in shown.split()}, {5})
        self.assertEqual("".join(shown.split()), "0123456789" * 6)

    def test_the_connection_is_told_with_its_reason_and_the_next_attempt(self):
        model = Model()
        model.account = {"state": "ready", "user": "bob", "server": "chat.example:8897"}
        model.connection = {"state": "online"}
        self.assertEqual(words.connection(model, 0), ("Online as bob at chat.example:8897", "good"))
        model.connection = {"state": "offline", "reason": "connection refused", "next_retry_ms": 5_000}
        said, colour = words.connection(model, 1_500)
        self.assertEqual(said, "Offline as bob at chat.example:8897: connection refused · trying again in 4 s")
        self.assertEqual(colour, "bad")
        model.link = Down("no such file or directory", 2_000)
        self.assertEqual(
            words.connection(model, 2_500)[0], "chatd is not running (no such file or directory) · trying again"
        )


if __name__ == "__main__":
    unittest.main()

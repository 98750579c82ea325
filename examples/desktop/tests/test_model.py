"""Events and answers change what is known, whatever their order."""

import unittest

from chatwindow.model import ROOM, Model
from chatwindow.timeline import Timeline


def message(number, chat="@bob", **more):
    return {
        "id": f"m{number}",
        "chat": chat,
        "from": "bob",
        "outgoing": False,
        "text": f"text {number}",
        "sent_ms": number,
        "stored_ms": number,
        **more,
    }


def own(number, state="queued", **more):
    return message(number, **{"from": "alice", "outgoing": True, "state": state, **more})


class World(unittest.TestCase):
    def setUp(self):
        self.model = Model()
        self.model.know_account({"state": "ready", "user": "alice"})
        self.seq = 0

    def event(self, kind, chat=None, /, **data):
        self.seq += 1
        return self.model.apply({"seq": self.seq, "type": kind, "chat": chat, "data": data})

    def texts(self, chat="@bob"):
        return [message["text"] for message in self.model.chats[chat].timeline.messages]

    def shown(self, message_id, chat="@bob"):
        return self.model.chats[chat].timeline.get(message_id)


class Messages(World):
    def test_a_message_makes_its_chat_and_asks_for_its_count(self):
        changes = self.event("message.new", "@bob", **message(1))
        self.assertIn(("appended", "@bob", "m1"), changes)
        self.assertEqual(self.model.stale, {"@bob"})
        self.assertEqual([chat.id for chat in self.model.rows()], [ROOM, "@bob"])

    def test_an_event_that_comes_twice_is_handled_once(self):
        event = {"seq": 9, "type": "message.new", "chat": "@bob", "data": message(1)}
        self.assertTrue(self.model.apply(event))
        self.assertEqual(self.model.apply(dict(event)), [])
        self.assertEqual(self.texts(), ["text 1"])

    def test_a_message_that_is_in_a_page_and_an_event_is_shown_once(self):
        self.event("message.new", "@bob", **message(3))
        self.model.know_page("@bob", {"messages": [message(2), message(3), message(4)], "more": True})
        self.event("message.new", "@bob", **message(4))
        self.assertEqual(self.texts(), ["text 2", "text 3", "text 4"])

    def test_older_pages_come_before(self):
        self.model.know_page("@bob", {"messages": [message(3)], "more": True})
        self.model.know_page("@bob", {"messages": [message(1), message(2)], "more": False})
        self.assertEqual(self.texts(), ["text 1", "text 2", "text 3"])
        self.assertFalse(self.model.chats["@bob"].timeline.more)

    def test_a_state_only_moves_forward(self):
        self.event("message.new", "@bob", **own(1))
        self.event("message.status", "@bob", id="m1", state="delivered")
        self.event("message.status", "@bob", id="m1", state="accepted")
        self.assertEqual(self.shown("m1")["state"], "delivered")
        self.event("message.edited", "@bob", **own(1, state="accepted", text="better"))
        self.assertEqual((self.shown("m1")["state"], self.shown("m1")["text"]), ("delivered", "better"))

    def test_a_failure_keeps_its_reason(self):
        self.event("message.new", "@bob", **own(1))
        self.event("message.status", "@bob", id="m1", state="failed", error="not_found")
        self.assertEqual(self.shown("m1")["error"], "not_found")

    def test_a_deleted_text_is_gone(self):
        self.event("message.new", "@bob", **message(1))
        self.event("message.reaction", "@bob", id="m1", user="bob", emoji="👍")
        self.event("message.deleted", "@bob", id="m1", why="author")
        shown = self.shown("m1")
        self.assertEqual((shown["text"], shown["deleted"], shown["reactions"]), ("", True, []))

    def test_everybody_has_one_sign(self):
        self.event("message.new", "@bob", **message(1))
        for user, emoji in (("bob", "👍"), ("alice", "👍"), ("bob", "🎂")):
            self.event("message.reaction", "@bob", id="m1", user=user, emoji=emoji)
        self.assertEqual(
            self.shown("m1")["reactions"], [{"emoji": "🎂", "users": ["bob"]}, {"emoji": "👍", "users": ["alice"]}]
        )
        self.event("message.reaction", "@bob", id="m1", user="bob")
        self.assertEqual(self.shown("m1")["reactions"], [{"emoji": "👍", "users": ["alice"]}])

    def test_what_happens_while_a_page_is_under_way_is_asked_again(self):
        timeline = self.model.ensure("@bob").timeline
        timeline.loading = True
        self.event("message.status", "@bob", id="m1", state="read")
        self.assertEqual(timeline.doubtful, {"m1"})

    def test_changes_of_messages_that_are_not_loaded_are_survived(self):
        for kind, data in (
            ("message.status", {"id": "m9", "state": "read"}),
            ("message.edited", message(9)),
            ("message.deleted", {"id": "m9", "why": "here"}),
            ("message.reaction", {"id": "m9", "user": "bob"}),
        ):
            self.assertEqual(self.event(kind, "@bob", **data), [])

    def test_losses_are_told_where_they_happened(self):
        self.event("message.missing", "@bob", from_user="bob", count=2)
        self.event("message.undecryptable", None, from_user="bob", reason="auth", will_retry=True)
        notes = [note["note"] for note in self.model.chats["@bob"].timeline.messages]
        self.assertEqual(len(notes), 2)
        self.assertIn("2 messages", notes[0])
        self.assertIsNone(self.model.chats["@bob"].timeline.newest)

    def test_types_of_tomorrow_are_survived(self):
        self.assertEqual(self.event("of.tomorrow", None, anything=[1]), [])

    def test_a_gap_forgets_what_may_be_incomplete(self):
        self.event("message.new", "@bob", **message(1))
        self.model.apply({"seq": 50, "type": "gap", "data": {"from": 2, "to": 50}})
        self.assertEqual(self.texts(), [])
        self.assertIn(None, self.model.stale)
        self.assertEqual(self.model.seq, 50)


class Lists(World):
    def test_unread_counts_are_the_daemons(self):
        self.model.know_chats([{"id": "@bob", "unread": 3}, {"id": ROOM, "unread": 2}])
        self.assertEqual(self.model.unread, 5)
        self.event("chat.read", "@bob", unread=0)
        self.assertEqual(self.model.unread, 2)

    def test_muted_chats_are_not_counted(self):
        self.model.know_chats([{"id": "@bob", "unread": 3, "muted_until_ms": 2**63}])
        self.assertEqual(self.model.unread, 0)

    def test_a_chat_that_was_just_opened_stays_though_it_is_not_listed(self):
        self.model.current = self.model.ensure("@carol").id
        self.model.ensure("@dave")
        self.model.know_chats([])
        self.assertEqual(sorted(self.model.chats), ["@carol", ROOM])

    def test_the_room_is_first_then_the_newest(self):
        last = lambda at: {"stored_ms": at, "text": "", "from": "bob"}
        self.model.know_chats([{"id": "@a", "last": last(1)}, {"id": "@b", "last": last(2)}])
        self.assertEqual([chat.id for chat in self.model.rows()], [ROOM, "@b", "@a"])

    def test_who_is_online_follows_the_events(self):
        self.model.know_online(["alice", "bob"])
        self.model.apply({"type": "presence", "data": {"online": ["carol"], "offline": ["bob"]}})
        self.assertEqual(self.model.others(), ["carol"])

    def test_without_a_server_nobody_is_known_to_be_online(self):
        self.model.know_online(["alice", "bob"])
        changes = self.event("connection", state="offline", reason="connection refused")
        self.assertEqual(self.model.others(), [])
        self.assertIn(("account?",), changes)

    def test_another_account_sees_nothing_of_the_one_before(self):
        self.event("message.new", "@bob", **message(1))
        self.model.current = "@bob"
        self.model.know_account({"state": "ready", "user": "mallory"})
        self.assertEqual((list(self.model.chats), self.model.current), ([ROOM], ROOM))
        self.assertIn(None, self.model.stale)


class Identities(World):
    def test_nothing_is_sent_after_an_identity_changed_until_it_is_accepted(self):
        self.model.current = self.model.ensure("@bob").id
        self.assertTrue(self.model.can_send()[0])
        self.event("identity.changed", None, user="bob", new="f", head={})
        allowed, why = self.model.can_send()
        self.assertFalse(allowed)
        self.assertIn("identity changed", why)
        self.model.know_identity("bob", "tofu")
        self.assertTrue(self.model.can_send()[0])


class Timelines(unittest.TestCase):
    def test_the_line_stands_before_the_first_unread_message_of_others(self):
        timeline = Timeline()
        timeline.page([message(1), own(2), message(3), message(4)], True)
        self.assertEqual(timeline.first_unread(2), "m3")
        self.assertEqual(timeline.first_unread(99), "m1")
        self.assertIsNone(timeline.first_unread(0))

    def test_forgetting_old_messages_lets_them_be_loaded_again(self):
        timeline = Timeline()
        timeline.page([message(number) for number in range(10)], False)
        gone = timeline.keep_newest(4)
        self.assertEqual((len(gone), timeline.oldest["id"], timeline.more), (6, "m6", True))
        self.assertNotIn("m0", timeline)
        timeline.page([message(5)], True)
        self.assertEqual(timeline.oldest["id"], "m5")


if __name__ == "__main__":
    unittest.main()

"""What the window knows, and how an event changes it.

Does no I/O, reads no clock and knows no widget: it is handed what chatd said and returns what has to be shown anew, as
tuples: `("chats",)`, `("online",)`, `("connection",)`, `("account",)`, `("limits",)`; `("timeline", chat)` for all of a
chat's messages, `("appended", chat, id)` and `("message", chat, id)` for one. What only the daemon counts well, such
as unread messages, is never counted here: `stale` names the chats to ask about.
"""

from chatwindow.timeline import Timeline, later, react

ROOM = "room:public"
# States of the account in which there are chats to show.
INSIDE = ("ready",)


class Chat:
    """One row on the left, and the history that is loaded of it."""

    def __init__(self, chat_id):
        self.id = chat_id
        self.info = {}
        self.timeline = Timeline()
        self.marked = None  # the message up to which we said it is read

    @property
    def peer(self):
        """The other's name, in a private chat."""
        return self.id[1:] if self.id.startswith("@") else None

    @property
    def title(self):
        names = {ROOM: "Public room", "self": "Notes to self"}
        return names.get(self.id) or self.peer or self.info.get("title") or self.id

    @property
    def unread(self):
        return self.info.get("unread", 0)

    @property
    def muted(self):
        return bool(self.info.get("muted_until_ms"))

    @property
    def blocked_by_change(self):
        """Whether the peer's identity changed, so that nothing may leave."""
        return self.info.get("identity") in ("changed", "revoked")

    @property
    def last_ms(self):
        return (self.info.get("last") or {}).get("stored_ms", 0)


class Model:
    """Everything the window shows."""

    def __init__(self):
        self.link = None  # a `client.Down` while there is no daemon
        self.seq = None  # the last event that was handled
        self.account = {}  # what `account.status` answers; empty until it did
        self.connection = {}
        self.limits = {}
        self.online = set()
        self.chats = {ROOM: Chat(ROOM)}
        self.current = ROOM
        self.stale = set()  # chats whose counts the daemon has to be asked for; None stands for all

    @property
    def me(self):
        return self.account.get("user")

    @property
    def inside(self):
        """Whether there is an account to show chats of."""
        return self.account.get("state") in INSIDE

    @property
    def chat(self):
        """The chat that is open."""
        return self.chats[self.current]

    @property
    def unread(self):
        """Unread messages in chats that are not muted."""
        return sum(chat.unread for chat in self.chats.values() if not chat.muted)

    def others(self):
        """Who else is online, in order of their names."""
        return sorted(self.online - {self.me})

    def rows(self):
        """Chats as they are listed: the public room, then those with the newest message."""
        return sorted(self.chats.values(), key=lambda chat: (chat.id != ROOM, -chat.last_ms, chat.id))

    def ensure(self, chat_id):
        """The chat, made if need be."""
        return self.chats.setdefault(chat_id, Chat(chat_id))

    def can_send(self):
        """Whether the open chat takes a message, and if not, why."""
        if self.link is not None:
            return False, "chatd is not running"
        if self.chat.blocked_by_change:
            return False, f"{self.chat.title}'s identity changed: nothing is sent until you accept it"
        return True, ""

    # What answers say.

    def know_account(self, status):
        """Takes what `account.status` said. Another account's chats are forgotten."""
        if self.account.get("user") not in (None, status.get("user")):
            self.chats, self.current, self.online = {ROOM: Chat(ROOM)}, ROOM, set()
            self.stale.add(None)
        self.account = status
        return [("account",), ("chats",)]

    def know_chats(self, chats):
        """Takes a full list of chats. One without messages stays only while it is open."""
        listed = {info["id"] for info in chats}
        for gone in [chat for chat in self.chats if chat not in listed and chat not in (ROOM, self.current)]:
            del self.chats[gone]
        return [change for info in chats for change in self.know_chat(info)] or [("chats",)]

    def know_chat(self, info):
        """Takes what the daemon says of one chat."""
        chat = self.ensure(info["id"])
        last = info.get("last") or chat.info.get("last")
        chat.info = {**info, "last": last}
        return [("chats",)]

    def know_identity(self, user, state):
        """Takes what the daemon thinks of a peer's identity."""
        chat = self.ensure("@" + user)
        chat.info = {**chat.info, "identity": state}
        return [("chats",)]

    def know_online(self, users):
        self.online = set(users)
        return [("online",)]

    def know_page(self, chat_id, page):
        """Takes a page of older messages."""
        self.ensure(chat_id).timeline.page(page["messages"], page["more"])
        return [("timeline", chat_id)]

    def know_message(self, message):
        """Takes a message's present form."""
        chat = self.chats.get(message["chat"])
        known = chat is not None and chat.timeline.replace(message)
        return [("message", message["chat"], message["id"])] if known else []

    def forget_histories(self):
        """After a gap: what is loaded may lack something."""
        for chat in self.chats.values():
            chat.timeline = Timeline()
        self.stale.add(None)
        return [("timeline", self.current)]

    # What events say.

    def apply(self, event):
        """Handles an event. One that came before is not handled again."""
        seq = event.get("seq")
        if seq is not None:
            if self.seq is not None and seq <= self.seq:
                return []
            self.seq = seq
        handle = _EVENTS.get(event["type"])
        return handle(self, event.get("chat"), event["data"]) if handle else []

    def _message_new(self, chat_id, message):
        self.stale.add(chat_id)
        chat = self.ensure(chat_id)
        if not message.get("deleted"):
            chat.info["last"] = message
        new = chat.timeline.append(message)
        return [("appended" if new else "message", chat_id, message["id"]), ("chats",)]

    def _message_status(self, chat_id, data):
        def move(message):
            message["state"] = later(message.get("state"), data["state"])
            if data.get("error"):
                message["error"] = data["error"]

        self.stale.add(chat_id)
        return self._change(chat_id, data["id"], move)

    def _message_edited(self, chat_id, message):
        self.stale.add(chat_id)
        chat = self.chats.get(chat_id)
        known = chat is not None and chat.timeline.replace(message)
        return [("message", chat_id, message["id"])] if known else []

    def _message_deleted(self, chat_id, data):
        def wipe(message):
            message.update(text="", deleted=True, reactions=[], why=data.get("why"))

        self.stale.add(chat_id)
        return self._change(chat_id, data["id"], wipe)

    def _message_reaction(self, chat_id, data):
        return self._change(chat_id, data["id"], lambda message: react(message, data["user"], data.get("emoji")))

    def _change(self, chat_id, message_id, change):
        chat = self.chats.get(chat_id)
        known = chat is not None and chat.timeline.change(message_id, change)
        return [("message", chat_id, message_id)] if known else []

    def _overdue(self, chat_id, data):
        return self._change(chat_id, data["id"], lambda message: message.update(error="not delivered in time"))

    def _missing(self, chat_id, data):
        count = data["count"]
        lost = "one message was" if count == 1 else f"{count} messages were"
        return self._note(chat_id or "@" + data["from_user"], f"{lost} lost on the way, for good")

    def _undecryptable(self, chat_id, data):
        again = ": it will be asked for again" if data.get("will_retry") else ""
        return self._note(chat_id or "@" + data["from_user"], f"a message does not open{again}")

    def _withheld(self, _, data):
        words = "the server does not show what changed in this identity: compare safety numbers before you go on"
        return self._note("@" + data["user"], words)

    def _fork(self, _, data):
        words = "two versions of this identity's history were seen: somebody lies. Compare safety numbers"
        return self._note("@" + data["user"], words)

    def _note(self, chat_id, text):
        note = {"id": f"note-{self.seq}", "chat": chat_id, "note": text}
        self.ensure(chat_id).timeline.append(note)
        return [("appended", chat_id, note["id"]), ("chats",)]

    def _presence(self, _, data):
        self.online = (self.online | set(data["online"])) - set(data["offline"])
        return [("online",)]

    def _chat_read(self, chat_id, data):
        self.ensure(chat_id).info["unread"] = data["unread"]
        self.stale.add(chat_id)  # an answer under way may have been given before
        return [("chats",)]

    def _chat_updated(self, _, info):
        return self.know_chat(info)

    def _identity_changed(self, _, data):
        self.stale.add("@" + data["user"])
        return self.know_identity(data["user"], "changed")

    def _connection(self, _, data):
        self.connection = data
        if data["state"] != "online":
            self.online = set()
        # Logging in, out, or being refused elsewhere shows here first.
        return [("connection",), ("online",), ("account?",)]

    def _ask_account(self, _, __):
        return [("account?",)]

    def _gap(self, _, data):
        self.seq = max(self.seq or 0, data["to"])
        return self.forget_histories()


_EVENTS = {
    "message.new": Model._message_new,
    "message.status": Model._message_status,
    "message.edited": Model._message_edited,
    "message.deleted": Model._message_deleted,
    "message.reaction": Model._message_reaction,
    "message.overdue": Model._overdue,
    "message.missing": Model._missing,
    "message.undecryptable": Model._undecryptable,
    "presence": Model._presence,
    "chat.read": Model._chat_read,
    "chat.updated": Model._chat_updated,
    "identity.changed": Model._identity_changed,
    "identity.log_withheld": Model._withheld,
    "identity.fork_evidence": Model._fork,
    "connection": Model._connection,
    "account.reset_pending": Model._ask_account,
    "account.reset_cancelled": Model._ask_account,
    "gap": Model._gap,
}

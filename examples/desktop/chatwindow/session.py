"""Keeps the model true: asks chatd, follows its events, and goes on where it was after either side was away.

Knows no widget. Everything runs in the thread that calls `tick`; `changed(changes)` is told what to show anew, and
`refused(words, refused)` what chatd would not do.
"""

import uuid

from chatwindow import VERSION

PAGE = 60
MAX_PAGE = 500
MAX_CHATS = 500
# Messages kept of a chat while one looks at its end; older ones are loaded again when asked for.
MAX_LOADED = 1_000
KEPT = 300


class Session:
    """One window's dealings with chatd."""

    def __init__(self, client, model, changed, refused):
        self.client, self.model, self._changed, self._refused = client, model, changed, refused
        self._asked = set()  # what is under way and need not be asked twice
        self._unanswered = {}  # sends whose answer the connection took along, by client_id
        client.on_up, client.on_down, client.on_event = self._up, self._down, self._event

    def tick(self):
        """Handles what came and asks for what became stale. Returns whether there is more to handle."""
        more = self.client.poll()
        if self.client.up and self.model.seq is not None:
            self._ask_stale()
        return more

    # The connection.

    def _up(self):
        self.model.link = None
        self.client.call("hello", {"api": "1", "client": f"chatwindow/{VERSION}"})
        self._subscribe()
        self._changed([("connection",)])

    def _subscribe(self):
        since = "now" if self.model.seq is None else self.model.seq
        self.client.call("events.subscribe", {"from": since}, self._subscribed, self._not_subscribed)

    def _subscribed(self, answer):
        if self.model.seq is None:
            self.model.seq = answer["next_seq"] - 1
        self.refresh()

    def _not_subscribed(self, refused):
        if refused.kind == "disconnected":
            return
        if self.model.seq is not None:
            # Another log than the one we know: begin anew.
            self.model.seq = None
            self._changed(self.model.forget_histories())
            self._subscribe()
            return
        self._refused("Events are not told", refused)

    def _down(self, down):
        self.model.link = down
        self.model.connection, self.model.online = {}, set()
        self._changed([("connection",), ("online",), ("chats",)])

    def _event(self, event):
        changes = self.model.apply(event)
        if ("account?",) in changes:
            self._ask_account()
            self._ask_online()
        self._changed(changes)

    def refresh(self):
        """Asks for everything that is not told by events."""
        self._once("daemon.info", {}, self._informed)
        self._once("daemon.health", {}, self._healthy)
        # The chats first: whoever opens one wants to know what is unread in it.
        self._list_chats(then=self._ask_account)
        self._ask_online()
        unanswered, self._unanswered = self._unanswered, {}
        for client_id, (chat_id, text, failed) in unanswered.items():
            self._send(chat_id, text, client_id, failed)

    def _informed(self, info):
        self.model.limits = info.get("limits", {})
        self._changed([("limits",)])

    def _healthy(self, health):
        self.model.connection = health["connection"]
        self._changed([("connection",)])

    def _ask_account(self):
        self._once("account.status", {}, lambda status: self._changed(self.model.know_account(status)))

    def _ask_online(self):
        def known(answer):
            self._changed(self.model.know_online(user["user"] for user in answer["users"]))

        self._once("presence.list", {}, known)

    # Asking once for many reasons.

    def _once(self, method, params, then, failed=None):
        key = (method, repr(params))
        if key in self._asked:
            return False
        self._asked.add(key)

        def done(handle, answer):
            self._asked.discard(key)
            handle(answer)

        quiet = failed or (lambda _: None)
        self.client.call(method, params, lambda answer: done(then, answer), lambda why: done(quiet, why))
        return True

    def _ask_stale(self):
        for chat_id in list(self.model.stale):
            if chat_id is None:
                asked = self._list_chats()
            else:
                asked = self._once("chat.get", {"to": chat_id}, lambda info: self._changed(self.model.know_chat(info)))
            if asked:
                self.model.stale.discard(chat_id)

    def _list_chats(self, cursor=None, before=(), then=lambda: None):
        def listed(page):
            chats = [*before, *page["chats"]]
            if page.get("cursor"):
                self._list_chats(page["cursor"], chats, then)
            else:
                self._changed(self.model.know_chats(chats))
                then()

        params = {"limit": MAX_CHATS, **({"cursor": cursor} if cursor else {})}
        return self._once("chat.list", params, listed, lambda _: then())

    # Histories.

    def open(self, chat_id):
        """Makes a chat the current one; loads its newest page, and meets its peer."""
        old = self.model.chat.timeline
        old.keep_newest(KEPT)
        chat = self.model.ensure(chat_id)
        self.model.current = chat_id
        if chat.timeline.more is None:
            self.older()
        if chat.peer:
            self._meet(chat.peer)
        self._changed([("opened",), ("chats",)])

    def _meet(self, user):
        """Has chatd fetch who that is and make the sessions ready, so that the first message leaves at once."""

        def known(answer):
            self._changed(self.model.know_identity(user, answer["identity"]))

        self._once("chat.open", {"to": "@" + user}, known)

    def older(self):
        """Loads the page before what is loaded of the current chat, if there is one."""
        chat = self.model.chat
        timeline = chat.timeline
        if timeline.loading or timeline.more is False or not self.client.up or not self.model.inside:
            return
        params = {"to": chat.id, "limit": min(max(PAGE, chat.unread + 10), MAX_PAGE)}
        if timeline.oldest is not None and timeline.more:
            params["before"] = timeline.oldest["id"]
        timeline.loading = True
        self.client.call(
            "msg.list",
            params,
            lambda page: self._paged(chat, timeline, page),
            lambda why: self._not_paged(timeline, why),
        )

    def _paged(self, chat, timeline, page):
        timeline.loading = False
        if chat.timeline is not timeline:
            return
        doubtful, timeline.doubtful = timeline.doubtful, set()
        first = timeline.more is None
        changes = self.model.know_page(chat.id, page)
        for message_id in doubtful:
            if message_id in timeline:
                self.client.call(
                    "msg.get", {"id": message_id}, lambda message: self._changed(self.model.know_message(message))
                )
        self._changed([("opened",)] if first and chat.id == self.model.current else changes)

    def _not_paged(self, timeline, refused):
        timeline.loading = False
        if refused.kind == "not_found":
            timeline.more = False
        elif refused.kind != "disconnected":
            self._refused("The history cannot be read", refused)

    def trim(self):
        """Forgets old messages of the current chat if there are very many. Returns those."""
        timeline = self.model.chat.timeline
        return timeline.keep_newest(KEPT) if len(timeline.messages) > MAX_LOADED else []

    def seen(self):
        """Everything in the current chat was looked at."""
        chat = self.model.chat
        newest = chat.timeline.newest
        # Before the first page is there, nobody can have seen all of what is unread.
        if newest is None or chat.timeline.more is None or not self.client.up or chat.marked == newest["id"]:
            return
        chat.marked = newest["id"]

        def read(answer):
            chat.info["unread"] = answer["unread"]
            self._changed([("chats",)])

        def not_read(_):
            chat.marked = None

        self._once("chat.mark_read", {"to": chat.id, "up_to": newest["id"]}, read, not_read)

    # Doing.

    def send(self, chat_id, text, failed):
        """Sends a text, once, whatever becomes of the connection. `failed(text)` gets back what chatd does not take."""
        self._send(chat_id, text, "window-" + str(uuid.uuid4()), failed)

    def _send(self, chat_id, text, client_id, failed):
        def refused(why):
            if why.kind == "disconnected":
                self._unanswered[client_id] = (chat_id, text, failed)
                return
            failed(text)
            self._refused("Not sent", why)
            self.model.stale.add(chat_id)

        self.client.call("msg.send", {"to": chat_id, "text": text, "client_id": client_id}, None, refused)

    def enter(self, method, params, then, failed):
        """Registers or logs in."""

        def entered(answer):
            self.refresh()
            then(answer)

        self.client.call(method, params, entered, failed)

    def do(self, what, method, params=None, then=None):
        """Does something that may be refused with words."""
        self.client.call(method, params, then, lambda why: self._refused(what, why))

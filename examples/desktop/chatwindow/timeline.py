"""The part of a chat's history that is loaded: messages in the daemon's order, each once.

Does not know where messages come from. What it is told may come twice or late: a state never goes back.
"""

# The order in which a sent message moves on.
STATES = ("queued", "accepted", "delivered", "read", "not_received", "failed", "cancelled")


class Timeline:
    """Messages of one chat, oldest first."""

    def __init__(self):
        self.messages = []
        self._by_id = {}
        # Whether older ones can be asked for; None until the first page came.
        self.more = None
        # While a page is under way: who was told of meanwhile, since the page may be older than that.
        self.loading = False
        self.doubtful = set()

    def __contains__(self, message_id):
        return message_id in self._by_id

    def get(self, message_id):
        """The message, or None."""
        return self._by_id.get(message_id)

    @property
    def newest(self):
        """The last message the daemon knows too, or None."""
        return next((message for message in reversed(self.messages) if "note" not in message), None)

    @property
    def oldest(self):
        """The first message the daemon knows too, or None."""
        return next((message for message in self.messages if "note" not in message), None)

    def append(self, message):
        """Adds the newest message; one that is there already is replaced. Returns whether it is new."""
        if message["id"] in self._by_id:
            self.replace(message)
            return False
        self._by_id[message["id"]] = message
        self.messages.append(message)
        return True

    def page(self, messages, more):
        """Puts a page before what is loaded; what is in both stays as it was told last."""
        paged = {message["id"] for message in messages}
        rest = [message for message in self.messages if message["id"] not in paged]
        self.messages = [self._by_id.get(message["id"], message) for message in messages] + rest
        self._by_id = {message["id"]: message for message in self.messages}
        self.more = more

    def replace(self, message):
        """Takes a message's present form. Returns whether it is loaded."""
        old = self._by_id.get(message["id"])
        if old is None:
            self._doubt(message["id"])
            return False
        state = later(old.get("state"), message.get("state"))
        old.clear()
        old.update(message)
        if state:
            old["state"] = state
        return True

    def change(self, message_id, change):
        """Changes a message in place by `change(message)`. Returns whether it is loaded."""
        message = self._by_id.get(message_id)
        if message is None:
            self._doubt(message_id)
            return False
        change(message)
        return True

    def _doubt(self, message_id):
        if self.loading:
            self.doubtful.add(message_id)

    def keep_newest(self, most):
        """Forgets the oldest, so that at most so many stay loaded. Returns those forgotten."""
        gone, self.messages = self.messages[:-most], self.messages[-most:]
        for message in gone:
            del self._by_id[message["id"]]
        if gone:
            self.more = True
        return gone

    def before(self, message):
        """The message shown above this one, or None."""
        at = next(at for at in range(len(self.messages) - 1, -1, -1) if self.messages[at] is message)
        return self.messages[at - 1] if at else None

    def first_unread(self, unread):
        """Id of the first of the `unread` newest messages of others, or None."""
        others = [message for message in self.messages if not message.get("outgoing") and not _is_note(message)]
        return others[-min(unread, len(others))]["id"] if unread and others else None


def _is_note(message):
    """Whether nobody wrote it."""
    return "note" in message or message.get("notice", False)


def later(old, new):
    """The state that is further on the way; either may be None."""
    known = [state for state in (old, new) if state in STATES]
    return max(known, key=STATES.index) if len(known) == 2 else new or old


def react(message, user, emoji):
    """Puts `user`'s sign in place of the one given before; None takes it away."""
    signs = {sign["emoji"]: [who for who in sign["users"] if who != user] for sign in message.get("reactions", [])}
    if emoji:
        signs.setdefault(emoji, []).append(user)
    message["reactions"] = [{"emoji": sign, "users": signs[sign]} for sign in sorted(signs) if signs[sign]]

"""The messages of a chat, in a text widget: read, selected and copied like any text.

Each message has a tag of its own over everything that belongs to it, its day and its author's name included, so that
it can be put anew where it stands. What others wrote comes through `words` alone.
"""

import tkinter as tk
from tkinter import ttk

from chatwindow import words

# Messages of one author this close stand below one name.
TOGETHER_MS = 5 * 60 * 1000
# Of what is quoted from an answered message.
QUOTED_CHARACTERS = 90


class History(ttk.Frame):
    """Shows one timeline. Tells `actions.older()` at its top, and `actions.seen()` when its end is looked at."""

    def __init__(self, parent, theme, actions):
        super().__init__(parent)
        self.theme, self.actions = theme, actions
        self.timeline, self.me, self._unread_from, self._more = None, None, None, {}
        self._at_end = True
        self.text = tk.Text(
            self,
            wrap="word",
            state="disabled",
            relief="flat",
            highlightthickness=0,
            cursor="arrow",
            background=theme["page"],
            foreground=theme["text"],
            font=theme.fonts["body"],
            padx=theme.px(20),
            pady=theme.px(10),
            selectbackground=theme["selected"],
            selectforeground=theme["text"],
            inactiveselectbackground=theme["selected"],
        )
        self.bar = ttk.Scrollbar(self, command=self.text.yview)
        self.text.configure(yscrollcommand=self._scrolled)
        self.bar.pack(side="right", fill="y")
        self.text.pack(side="left", fill="both", expand=True)
        self.down = ttk.Button(self, text="↓ Newest", style="Accent.TButton", command=self.to_end)
        self._tags()
        self._listen()

    def _tags(self):
        px, fonts, tag = self.theme.px, self.theme.fonts, self.text.tag_configure
        self._fade = {"foreground": self.theme["muted"], "font": fonts["small"]}
        tag("day", justify="center", spacing1=px(16), spacing3=px(6), **self._fade)
        tag("new", justify="center", spacing1=px(8), spacing3=px(4), foreground=self.theme["bad"], font=fonts["small"])
        tag("name", font=fonts["bold"], spacing1=px(12), spacing3=px(2))
        tag("body", lmargin1=px(14), lmargin2=px(14), spacing1=px(2), spacing2=px(2), spacing3=px(3), rmargin=px(8))
        tag("own", background=self.theme["own"], lmargincolor=self.theme["own"])
        tag("mention", background=self.theme["warn_back"], foreground=self.theme["warn_text"])
        tag("small", **self._fade)
        tag("gone", **self._fade)
        tag(
            "note", justify="center", foreground=self.theme["note"], font=fonts["small"], spacing1=px(8), spacing3=px(4)
        )
        tag("failed", foreground=self.theme["bad"], font=fonts["small"])
        tag("read", foreground=self.theme["accent"], font=fonts["small"])
        tag("link", foreground=self.theme["accent"], font=fonts["small"], underline=True)
        tag("empty", justify="center", spacing1=px(60), **self._fade)
        self.text.tag_bind("link", "<Enter>", lambda _: self.text.configure(cursor="hand2"))
        self.text.tag_bind("link", "<Leave>", lambda _: self.text.configure(cursor="arrow"))
        self.text.tag_raise("sel")

    def _listen(self):
        self.text.bind("<Button-1>", lambda _: self.text.focus_set())
        self.text.bind("<Button-3>", self._menu)
        self.text.bind("<Key>", self._typed)
        self.text.bind("<Configure>", lambda _: self._stay())

    def _menu(self, event):
        menu = tk.Menu(self, tearoff=False)
        chosen = self.text.tag_ranges("sel")
        menu.add_command(
            label="Copy", command=lambda: self.text.event_generate("<<Copy>>"), state="normal" if chosen else "disabled"
        )
        menu.tk_popup(event.x_root, event.y_root)

    def _typed(self, event):
        """Who types here means to write."""
        if event.char and event.char.isprintable() and not event.state & 0xC:
            self.actions.typed(event.char)
            return "break"
        return None

    # Where one looks.

    def _scrolled(self, first, last):
        self.bar.set(first, last)
        self._at_end = float(last) >= 0.999
        if self._at_end:
            self.down.place_forget()
            self.actions.seen()
        else:
            self.down.place(relx=1, rely=1, x=-self.theme.px(28), y=-self.theme.px(12), anchor="se")
        if float(first) <= 0.02 and self.timeline is not None:
            self.actions.older()

    @property
    def at_end(self):
        """Whether the newest message is in sight."""
        return self._at_end

    def to_end(self):
        """Goes to the newest message."""
        self._at_end = True
        self.text.see("end")
        self.text.yview_moveto(1)

    def _stay(self):
        if self._at_end:
            self.text.after_idle(lambda: self.text.yview_moveto(1))

    def page(self, way):
        """Scrolls by pages."""
        self.text.yview_scroll(way, "pages")

    # What is shown.

    def show(self, timeline, me, unread):
        """Shows a chat from its end on; a line stands before the first of the `unread` ones."""
        self._unread_from = timeline.first_unread(unread)
        self._more.clear()
        self._at_end = True
        self.refresh(timeline, me)
        self.to_end()

    def refresh(self, timeline, me):
        """Puts everything anew, and stays where one looks."""
        self.timeline, self.me = timeline, me
        top = self._looked_at()
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        for name in self.text.tag_names():
            if name.startswith(("m:", "w:")):
                self.text.tag_delete(name)
        above = None
        for message in timeline.messages:
            self._insert("end", message, above)
            above = message
        if not timeline.messages:
            self.text.insert("end", "Loading…" if timeline.more is None else "Nothing was said here yet", "empty")
        self.text.configure(state="disabled")
        if self._at_end:
            self.text.yview_moveto(1)
        elif top and self.text.tag_ranges(top):
            self.text.yview(self.text.tag_ranges(top)[0])

    def _looked_at(self):
        """The tag of the message at the top of what is in sight."""
        return next((name for name in self.text.tag_names("@0,0") if name.startswith("m:")), None)

    def append(self, message):
        """Adds the newest message; follows it if one looked at the end."""
        if len(self.timeline.messages) == 1:
            self.refresh(self.timeline, self.me)
            return
        follow = self._at_end or message.get("outgoing")
        if not self._at_end and not message.get("outgoing") and self._unread_from is None and "note" not in message:
            self._unread_from = message["id"]
        self.text.configure(state="normal")
        self._insert("end", message, self.timeline.before(message))
        self.text.configure(state="disabled")
        if follow:
            self.to_end()

    def update_message(self, message):
        """Puts a message anew where it stands."""
        ranges = self.text.tag_ranges("m:" + message["id"])
        if not ranges:
            return
        stay = self._at_end
        self.text.configure(state="normal")
        self.text.mark_set("here", ranges[0])
        self.text.mark_gravity("here", "left")
        self.text.delete(ranges[0], ranges[-1])
        self._insert("here", message, self.timeline.before(message))
        self.text.configure(state="disabled")
        if stay:
            self.to_end()

    def drop_oldest(self, messages):
        """Takes away what the timeline forgot; the one below gets its day and name."""
        self.text.configure(state="normal")
        for message in messages:
            ranges = self.text.tag_ranges("m:" + message["id"])
            if ranges:
                self.text.delete(ranges[0], ranges[-1])
            self.text.tag_delete("m:" + message["id"])
        self.text.configure(state="disabled")
        if self.timeline.messages:
            self.update_message(self.timeline.messages[0])

    def _insert(self, index, message, above):
        parts = list(self._parts(message, above))
        own = "m:" + message["id"]
        if index == "end":
            for text, *tags in parts:
                self.text.insert("end", text, (*tags, own))
            return
        for text, *tags in reversed(parts):
            self.text.insert(index, text, (*tags, own))

    def _parts(self, message, above):
        """Texts and their tags, in order."""
        if "note" in message or message.get("notice"):
            # nobody's words: what happened, as this window or the daemon notes it
            yield words.line(message.get("note") or message["text"]) + "\n", "note"
            return
        now = self.actions.now_ms()
        day = words.day(message["sent_ms"], now)
        new_day = above is None or "note" in above or words.day(above["sent_ms"], now) != day
        if new_day:
            yield day + "\n", "day"
        if message["id"] == self._unread_from:
            yield "──  new  ──\n", "new"
        if new_day or not _together(above, message) or message["id"] == self._unread_from:
            yield from self._author(message)
        yield from self._said(message)

    def _author(self, message):
        user = message["from"]
        name = "c:" + user
        own = message.get("outgoing")
        self.text.tag_configure(name, foreground=self.theme["accent"] if own else self.theme.name_colour(user))
        yield "You" if own else words.line(user, 150), "name", name
        yield "  bot\n" if message.get("from_bot") else "\n", "name", "small"

    def _said(self, message):
        base = ("body", "own") if message.get("outgoing") else ("body",)
        if self.me in message.get("mentions", ()):
            base = ("body", "mention")
        if message.get("reply_to"):
            yield self._quote(message["reply_to"]) + "\n", *base, "small"
        if message.get("deleted"):
            yield "message deleted" + (": its time was over" if message.get("why") == "expired" else ""), *base, "gone"
        else:
            yield from self._body(message, base)
        if message.get("unverified_log") or message.get("unverified_device"):
            yield "   UNVERIFIED", *base, "small"
        yield "   " + words.clock(message["sent_ms"]), *base, "small"
        yield from self._marks(message, base)
        yield "\n", *base
        if message.get("reactions"):
            yield _reactions(message["reactions"]) + "\n", *base, "small"

    def _body(self, message, base):
        shown, left = words.body(message["text"], self._more.get(message["id"], 0))
        yield shown, *base
        if left:
            tag = "w:" + message["id"]
            self.text.tag_bind(tag, "<Button-1>", lambda _: self._show_more(message))
            yield "…\n", *base
            yield f"show more: {left:,} characters", *base, "link", tag

    def _show_more(self, message):
        self._more[message["id"]] = self._more.get(message["id"], 0) + 1
        stood, self._at_end = self._at_end, False
        self.update_message(message)
        self._at_end = stood

    def _marks(self, message, base):
        if message.get("edited_ms"):
            yield " · edited", *base, "small"
        if message.get("late"):
            yield " · came late", *base, "small"
        if message.get("at_ms"):
            yield f" · to be sent {words.when(message['at_ms'], self.actions.now_ms())}", *base, "small"
        mark, state = words.mark(message), message.get("state")
        if mark:
            yield " " + mark, *base, {"read": "read", "failed": "failed", "not_received": "failed"}.get(state, "small")

    def _quote(self, message_id):
        quoted = self.timeline.get(message_id)
        if quoted is None or quoted.get("deleted") or "note" in quoted:
            return "↪ an earlier message"
        who = "You" if quoted.get("outgoing") else quoted["from"]
        return words.line(f"↪ {who}: {quoted['text']}", QUOTED_CHARACTERS)


def _together(above, message):
    return (
        "note" not in above
        and not above.get("notice")
        and above["from"] == message["from"]
        and 0 <= message["sent_ms"] - above["sent_ms"] < TOGETHER_MS
    )


def _reactions(reactions):
    return "   ".join(words.line(f"{sign['emoji']} {', '.join(sign['users'])}", 120) for sign in reactions)

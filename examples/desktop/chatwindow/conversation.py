"""The right side: whose chat it is, what to know about it, its history, and where one writes."""

from tkinter import ttk

from chatwindow.composer import Composer
from chatwindow.history import History
from chatwindow.model import ROOM


class Conversation(ttk.Frame):
    """Shows the chat that is open."""

    def __init__(self, parent, theme, model, actions):
        super().__init__(parent)
        self.theme, self.model, self.actions = theme, model, actions
        self._drafts, self._shown = {}, None
        self._head()
        ttk.Frame(self, style="Line.TFrame", height=1).grid(row=1, sticky="ew")
        self.banner = Banner(self, theme)
        self.history = History(self, theme, actions)
        self.composer = Composer(self, theme, actions.send)
        self.history.grid(row=3, sticky="nsew")
        self.composer.grid(row=4, sticky="ew")
        self.columnconfigure(0, weight=1)
        self.rowconfigure(3, weight=1)
        self.composer.text.bind("<Prior>", lambda _: self._page(-1))
        self.composer.text.bind("<Next>", lambda _: self._page(1))

    def _head(self):
        px = self.theme.px
        head = ttk.Frame(self, padding=(px(20), px(10), px(14), px(10)))
        head.grid(row=0, sticky="ew")
        words = ttk.Frame(head)
        words.pack(side="left", fill="x", expand=True)
        self.title = ttk.Label(words, style="Title.TLabel")
        self.title.pack(anchor="w")
        self.note = ttk.Label(words, style="Muted.TLabel")
        self.note.pack(anchor="w")
        self.safety = ttk.Button(head, text="Safety number", command=self.actions.show_identity)

    def _page(self, way):
        self.history.page(way)
        return "break"

    def open(self):
        """Shows the model's current chat, from its end on."""
        if self._shown:
            self._drafts[self._shown] = self.composer.get()
        self._shown = self.model.current
        chat = self.model.chat
        self.show_head()
        self.history.show(chat.timeline, self.model.me, chat.unread)
        usual = "Write a note" if chat.peer is None else f"Write to {chat.title}"
        self.composer.invite("Write to everybody" if chat.id == ROOM else usual)
        self.composer.put(self._drafts.pop(chat.id, ""))
        self.composer.text.focus_set()

    def show_head(self):
        """Title, notes, and whether anything may be sent."""
        chat, limits = self.model.chat, self.model.limits
        self.title.configure(text=chat.title)
        self.note.configure(text=self._about(chat))
        if chat.peer:
            self.safety.pack(side="right")
        else:
            self.safety.pack_forget()
        self.composer.limit = limits.get("room_text_bytes" if chat.id == ROOM else "text_bytes", 0)
        self.composer.allow(*self.model.can_send())
        self._warn(chat)

    def _about(self, chat):
        if chat.id == ROOM:
            return "Everybody on this server reads this room, and the server can read it too"
        if chat.peer is None:
            return "Notes stay on your devices"
        there = "online" if chat.peer in self.model.online else "not online: what you write waits"
        return f"🔒 End-to-end encrypted: only you and {chat.title} can read this · {there}"

    def _warn(self, chat):
        if self.model.link is not None:
            text = "chatd is not running. Start it with:  " + self.actions.start_command()
            self.banner.tell("Warn", text, "Try now", self.actions.retry)
        elif chat.blocked_by_change:
            text = f"{chat.title}'s identity changed. Nothing is sent until you have looked at it and decided."
            self.banner.tell("Danger", text, "Look at it…", self.actions.show_identity)
        elif self.model.account.get("reset_at_ms"):
            text = "Somebody asked to reset this account. If it was not you, cancel that, and change your password."
            self.banner.tell("Danger", text, "Cancel the reset", self.actions.cancel_reset)
        elif self.actions.trouble():
            self.banner.tell("Danger", self.actions.trouble(), "Dismiss", self.actions.dismiss)
        else:
            self.banner.hide()

    def restore(self, chat_id, text):
        """Gives a text back that was not taken."""
        if chat_id != self._shown:
            self._drafts[chat_id] = text + self._drafts.get(chat_id, "")
        else:
            rest = self.composer.get()
            self.composer.put(text + ("\n" + rest if rest else ""))


class Banner:
    """A strip with something to know, and a button that does something about it."""

    def __init__(self, parent, theme):
        self._frame = ttk.Frame(parent, padding=(theme.px(20), theme.px(8), theme.px(14), theme.px(8)))
        self._label = ttk.Label(self._frame, justify="left")
        self._button = ttk.Button(self._frame)
        self._button.pack(side="right", padx=(theme.px(12), 0))
        self._label.pack(side="left", fill="x", expand=True)
        self._frame.bind("<Configure>", lambda event: self._wrap(event.width - theme.px(210)))

    def _wrap(self, width):
        self._label.configure(wraplength=max(width, 100))

    def tell(self, kind, text, button, action):
        """Shows it."""
        self._frame.configure(style=f"{kind}.TFrame")
        self._label.configure(style=f"{kind}.TLabel", text=text)
        self._button.configure(text=button, command=action)
        self._frame.grid(row=2, sticky="ew")

    def hide(self):
        """Takes it away."""
        self._frame.grid_remove()

"""The window itself: which page is shown, what each key does, and who is told when something changed.

Everything here runs in Tk's own thread. A timer empties the client's queue for a few milliseconds at a time, so that
nothing that comes in, however much, keeps the window from answering.
"""

import time
import tkinter as tk
from tkinter import ttk

from chatwindow import words
from chatwindow.client import Client
from chatwindow.conversation import Conversation
from chatwindow.dialogs import WriteTo, confirm
from chatwindow.entrance import Entrance
from chatwindow.identity import Identity, Own
from chatwindow.model import Model
from chatwindow.session import Session
from chatwindow.sidebar import Sidebar
from chatwindow.theme import Theme, draws_emoji

# How often the queue is looked at, in milliseconds, when there is nothing and when there is more.
IDLE_MS, BUSY_MS = 30, 2
# How often the line that counts seconds is put anew.
SECOND_MS = 500


class App:
    """One window for one daemon."""

    def __init__(self, root, find, dark=False, scale=None):
        self.root, self.paths = root, find()
        words.Screen.draws_emoji = draws_emoji(root)
        self.theme, self.model = Theme(root, dark, scale), Model()
        self.client = Client(lambda: find().socket)
        self.session = Session(self.client, self.model, self._changed, self._refused)
        self._trouble, self._todo, self._page = "", set(), None
        self._build()
        self._keys()
        self._choose_page()
        self.client.start()
        self._tick()
        self._count_seconds()

    def _build(self):
        px = self.theme.px
        self.root.title("Chat")
        wide, high = self.root.winfo_screenwidth(), self.root.winfo_screenheight()
        self.root.geometry(f"{min(px(980), wide)}x{min(px(680), high)}")
        self.root.minsize(px(560), px(380))
        self.root.option_add("*Menu.font", self.theme.fonts["body"])
        self._status_line()
        self.book = ttk.Frame(self.root)
        self.book.pack(fill="both", expand=True)
        self.panes = ttk.Panedwindow(self.book, orient="horizontal")
        self.sidebar = Sidebar(self.panes, self.theme, self.model, self)
        self.conversation = Conversation(self.panes, self.theme, self.model, self)
        self.panes.add(self.sidebar, weight=0)
        self.panes.add(self.conversation, weight=1)
        self.entrance = Entrance(self.book, self.theme, self.session)
        self.absent = Absent(self.book, self.theme, self)

    def _status_line(self):
        px = self.theme.px
        line = ttk.Frame(self.root, style="Status.TFrame", padding=(px(14), px(4), px(8), px(4)))
        line.pack(side="bottom", fill="x")
        ttk.Frame(self.root, style="Line.TFrame", height=1).pack(side="bottom", fill="x")
        self.light = ttk.Label(line, style="Status.TLabel")
        self.light.pack(side="left", padx=(0, px(8)))
        self.now = ttk.Button(line, text="Try now", style="SideQuiet.TButton", command=self.retry)
        self.status = ttk.Label(line, style="Status.TLabel", padding=(0, px(7)))
        self.status.pack(side="left", fill="x", expand=True)

    def _keys(self):
        bind = self.root.bind_all
        for keys in ("<Control-Tab>", "<Control-Next>", "<Alt-Down>"):
            bind(keys, lambda event: self._step(event, 1))
        for keys in ("<Control-Shift-Tab>", "<Control-ISO_Left_Tab>", "<Control-Prior>", "<Alt-Up>"):
            try:
                bind(keys, lambda event: self._step(event, -1))
            except tk.TclError:
                pass  # this system has no such key
        # The text field has meanings of its own for these, which come first unless the window says otherwise.
        self.conversation.composer.text.bind("<Control-Tab>", lambda event: self._step(event, 1))
        self.conversation.composer.text.bind("<Control-n>", lambda _: self.write_to())
        bind("<Control-n>", lambda _: self.write_to())
        bind("<Control-q>", lambda _: self.close())
        bind("<Control-plus>", lambda _: self._zoom(1))
        bind("<Control-equal>", lambda _: self._zoom(1))
        bind("<Control-minus>", lambda _: self._zoom(-1))
        bind("<Control-0>", lambda _: self._zoom(0))
        # A button is pressed by Enter too; a click on one leaves the focus where one writes.
        self.root.bind_class("TButton", "<Return>", lambda event: event.widget.invoke())
        self.root.tk.call("bind", "TButton", "<Button-1>", "%W instate !disabled { %W state pressed }")
        self.root.bind("<FocusIn>", lambda _: self.seen())
        self.root.protocol("WM_DELETE_WINDOW", self.close)

    def close(self):
        """Ends the window. The daemon goes on."""
        self.client.close()
        self.root.destroy()

    def _zoom(self, steps):
        self.theme.zoom(steps)
        self.sidebar.show()

    def _step(self, event, way):
        if self._page is self.panes and event.widget.winfo_toplevel() is self.root:
            ids = [chat.id for chat in self.model.rows()]
            self.open_chat(ids[(ids.index(self.model.current) + way) % len(ids)])
        return "break"

    # The timers.

    def _tick(self):
        more = False
        try:
            more = self.session.tick()
            self._show_changes()
        finally:
            self.root.after(BUSY_MS if more else IDLE_MS, self._tick)

    def _count_seconds(self):
        self._show_status()
        self.root.after(SECOND_MS, self._count_seconds)

    # What changed is gathered, and shown once for each turn of the loop.

    def _changed(self, changes):
        history = self.conversation.history
        for kind, *about in changes:
            if kind in ("appended", "message", "timeline") and about[0] != self.model.current:
                continue
            if kind in ("appended", "message"):
                self._show_message(history, kind, about[1])
            elif kind == "timeline":
                history.refresh(self.model.chat.timeline, self.model.me)
            else:
                self._todo.add(kind)

    def _show_message(self, history, kind, message_id):
        if "opened" in self._todo or history.timeline is not self.model.chat.timeline:
            return  # all of it is shown soon
        message = self.model.chat.timeline.get(message_id)
        if kind == "message":
            history.update_message(message)
            return
        history.append(message)
        if history.at_end:
            history.drop_oldest(self.session.trim())
            self._look(message)

    def _show_changes(self):
        todo, self._todo = self._todo, set()
        if todo & {"account", "connection"}:
            self._choose_page()
        if "opened" in todo:
            self.conversation.open()
        if todo & {"chats", "online", "connection", "account", "opened"}:
            self.sidebar.show()
        if todo & {"chats", "online", "limits", "account", "connection", "trouble"}:
            self.conversation.show_head()
            self._show_status()
            self.seen()
            unread = self.model.unread
            self.root.title(
                (f"({unread}) " if unread else "") + "Chat" + (f" · {self.model.me}" if self.model.me else "")
            )

    def _choose_page(self):
        if self.model.account:
            page = self.panes if self.model.inside else self.entrance
        else:
            page = self.absent
        self.entrance.show(self.model.account)
        self.absent.show(self.model.link)
        if page is self._page:
            return
        if self._page is not None:
            self._page.pack_forget()
        self._page = page
        page.pack(fill="both", expand=True)
        if page is self.panes:
            self.session.open(self.model.current)

    def _show_status(self):
        text, colour = words.connection(self.model, self.now_ms())
        size = self.theme.px(10)
        self.light.configure(image=self.theme.pill(size, size, self.theme[colour], self.theme["side"]))
        if text != self.status.cget("text"):
            self.status.configure(text=text)
        retry = self.model.link is not None or self.model.connection.get("state") == "offline"
        if retry and not self.now.winfo_ismapped():
            self.now.pack(side="right")
        elif not retry:
            self.now.pack_forget()

    def _refused(self, what, refused):
        hint = f". {words.sentence(words.line(refused.hint))}" if refused.hint else ""
        self._trouble = f"{what}: {words.line(refused.message)}{hint}"
        self._todo.add("trouble")

    # What the parts ask for.

    @staticmethod
    def now_ms():
        return int(time.time() * 1000)

    def start_command(self):
        return self.paths.start

    def trouble(self):
        """What went wrong last, until it was seen."""
        return self._trouble

    def dismiss(self):
        self._trouble = ""
        self.conversation.show_head()

    def retry(self):
        """Tries now what would be tried later."""
        if self.client.up:
            self.session.do("No new attempt", "net.kick")
        else:
            self.client.hurry()

    def open_chat(self, chat_id):
        self._trouble = ""
        self.session.open(chat_id)
        self._show_changes()

    def older(self):
        self.session.older()

    def seen(self):
        """Marks the open chat read, if somebody is looking at it."""
        if self.model.chat.unread and self.conversation.history.at_end and self._looking():
            self.session.seen()

    def _look(self, message):
        """The same for one that just came, before it is counted."""
        if not message.get("outgoing") and "note" not in message and self._looking():
            self.session.seen()

    def _looking(self):
        return self._page is self.panes and self.root.focus_displayof() is not None

    def typed(self, characters):
        self.conversation.composer.type(characters)

    def send(self, text):
        chat_id = self.model.current
        self._trouble = ""
        self.session.send(chat_id, text, lambda text: self.conversation.restore(chat_id, text))
        self.conversation.show_head()

    def show_identity(self):
        Identity(self.root, self.theme, self.session, self.model.chat.peer)

    def cancel_reset(self):
        self.session.do("The reset was not cancelled", "account.reset.cancel")

    def write_to(self):
        if self._page is self.panes:
            WriteTo(self.root, self.theme, self.session, lambda user: self.open_chat("@" + user))
        return "break"

    def menu(self):
        """What the button with three dots offers."""
        return [
            ("Write to somebody…", self.write_to),
            ("Notes to self", lambda: self.open_chat("self")),
            ("Your identity…", lambda: Own(self.root, self.theme, self.model)),
            ("Log out…", self.log_out),
        ]

    def log_out(self):
        text = "Messages no longer arrive until you log in again. Your keys and your history stay on this device."

        def agreed():
            self.session.do("Not logged out", "account.logout", then=lambda _: self.session.refresh())

        confirm(self.root, self.theme, "Log out?", text, "Log out", agreed)


class Absent(ttk.Frame):
    """The page while there is no daemon to ask."""

    def __init__(self, parent, theme, app):
        super().__init__(parent)
        card = ttk.Frame(self, padding=theme.px(30))
        card.place(relx=0.5, rely=0.45, anchor="center")
        self._title = ttk.Label(card, style="Huge.TLabel")
        self._title.pack(anchor="w")
        self._words = ttk.Label(card, wraplength=theme.px(460), justify="left")
        self._words.pack(anchor="w", pady=(theme.px(10), theme.px(14)))
        self._command = ttk.Entry(card, font=theme.fonts["fixed"], width=44)
        self._command.insert(0, app.start_command())
        self._command.state(["readonly"])
        self._command.pack(anchor="w", fill="x")
        self._again = ttk.Button(card, text="Try now", style="Accent.TButton", command=app.retry)
        self._again.pack(anchor="e", pady=(theme.px(14), 0))

    def show(self, link):
        self._title.configure(text="chatd is not running" if link else "Looking for chatd…")
        self._words.configure(
            text="This window is a client of chatd, which keeps your keys and your history. Start it in a "
            "terminal, and the window goes on by itself:"
        )

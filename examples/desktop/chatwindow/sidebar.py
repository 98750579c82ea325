"""The left side: the public room, the chats with what is unread, and who is online.

Rows are drawn on a canvas, so that hundreds of them cost little. A click on a row opens its chat.
"""

import tkinter as tk
from tkinter import ttk

from chatwindow import words

# More names than this are told as a number: nobody reads them, and drawing them takes time.
MAX_ONLINE_ROWS = 300


class Sidebar(ttk.Frame):
    """Shows the model's chats and people; tells `on_open(chat_id)` what was chosen."""

    def __init__(self, parent, theme, model, actions):
        super().__init__(parent, style="Side.TFrame")
        self.theme, self.model, self.actions = theme, model, actions
        self._rows, self._hover, self._cursor, self._asked = [], None, None, None
        self._head()
        self.canvas = tk.Canvas(self, background=theme["side"], highlightthickness=0, takefocus=1, width=theme.px(250))
        bar = ttk.Scrollbar(self, command=self.canvas.yview, style="Side.Vertical.TScrollbar")
        self.canvas.configure(yscrollcommand=bar.set, yscrollincrement=theme.px(12))
        self.canvas.pack(side="left", fill="both", expand=True)
        bar.pack(side="right", fill="y")
        self._listen()

    def _head(self):
        head = ttk.Frame(
            self,
            style="Side.TFrame",
            padding=(self.theme.px(14), self.theme.px(10), self.theme.px(6), self.theme.px(6)),
        )
        head.pack(fill="x")
        self.who = ttk.Label(head, style="Side.TLabel", font=self.theme.fonts["bold"], foreground=self.theme["text"])
        self.who.pack(side="left", fill="x", expand=True)
        self.menu = ttk.Button(head, text="⋮", width=2, style="SideQuiet.TButton", command=self._drop_menu)
        self.menu.pack(side="right")
        self.new = ttk.Button(head, text="+", width=2, style="SideQuiet.TButton", command=self.actions.write_to)
        self.new.pack(side="right")

    def _drop_menu(self):
        menu = tk.Menu(
            self,
            tearoff=False,
            font=self.theme.fonts["body"],
            relief="raised",
            borderwidth=1,
            activeborderwidth=4,
            background=self.theme["page"],
            foreground=self.theme["text"],
            activebackground=self.theme["chosen"],
            activeforeground=self.theme["text"],
        )
        for label, action in self.actions.menu():
            menu.add_command(label=label, command=action)
        menu.tk_popup(self.menu.winfo_rootx(), self.menu.winfo_rooty() + self.menu.winfo_height())

    def _listen(self):
        canvas = self.canvas
        canvas.bind("<Button-1>", self._click)
        canvas.bind("<Motion>", lambda event: self._hover_over(self._row_at(event.y)))
        canvas.bind("<Leave>", lambda _: self._hover_over(None))
        canvas.bind("<Configure>", lambda _: self.show())
        canvas.bind("<Up>", lambda _: self._move(-1))
        canvas.bind("<Down>", lambda _: self._move(1))
        canvas.bind("<Return>", lambda _: self._open(self._cursor))
        canvas.bind("<FocusIn>", lambda _: self._move(0))
        canvas.bind("<FocusOut>", lambda _: self._put_cursor(None))
        for button, way in (("<Button-4>", -3), ("<Button-5>", 3)):
            canvas.bind(button, lambda _, way=way: self._scroll(way))
        canvas.bind("<MouseWheel>", lambda event: self._scroll(-3 if event.delta > 0 else 3))

    def _scroll(self, way):
        first, last = self.canvas.yview()
        if (first, last) != (0.0, 1.0):
            self.canvas.yview_scroll(way, "units")

    def show(self):
        """Draws soon, once for however many calls."""
        if self._asked is None:
            self._asked = self.after_idle(self._draw)

    def _draw(self):
        self._asked = None
        self.canvas.delete("all")
        self._rows = []
        self.who.configure(text=words.line(self.model.me or "", 40))
        y = self.theme.px(2)
        for chat in self.model.rows():
            y = self._chat_row(chat, y)
        y = self._online_rows(y)
        self.canvas.configure(scrollregion=(0, 0, 0, y + self.theme.px(8)))

    def _online_rows(self, y):
        others = self.model.others()
        here = self.model.connection.get("state") == "online"
        nobody = "Nobody else is online" if here else "Offline: who is there is not known"
        y = self._heading(f"Online ({len(others)})" if others else nobody, y)
        for user in others[:MAX_ONLINE_ROWS]:
            y = self._person_row(user, y)
        if len(others) > MAX_ONLINE_ROWS:
            y = self._heading(f"and {len(others) - MAX_ONLINE_ROWS} more: + writes to anybody", y)
        return y

    def _heading(self, text, y):
        px = self.theme.px
        self.canvas.create_text(
            px(14), y + px(22), text=text, anchor="w", font=self.theme.fonts["small"], fill=self.theme["muted"]
        )
        return y + self._height("small", 22)

    def _height(self, font, more):
        return self.theme.fonts[font].metrics("linespace") + self.theme.px(more)

    def _back(self, chat_id, top, bottom, kind):
        """The row's background, whose colour its pictures have to know."""
        key = (kind, chat_id)
        chosen = chat_id == self.model.current and kind == "chat"
        colour = self.theme["chosen" if chosen else "hover" if key in (self._hover, self._cursor) else "side"]
        width = self.canvas.winfo_width()
        self.canvas.create_rectangle(
            self.theme.px(6),
            top,
            width - self.theme.px(4),
            bottom,
            fill=colour,
            outline=self.theme["accent"] if key == self._cursor else colour,
        )
        self._rows.append((top, bottom, key))
        return colour

    def _chat_row(self, chat, top):
        px, fonts = self.theme.px, self.theme.fonts
        line = fonts["body"].metrics("linespace")
        bottom = top + line + fonts["small"].metrics("linespace") + px(14)
        back = self._back(chat.id, top, bottom, "chat")
        right = self.canvas.winfo_width() - px(14)
        first, second = top + px(6) + line // 2, bottom - px(6) - fonts["small"].metrics("linespace") // 2
        self._dot(chat, first, back)
        stamp = self._stamp(chat, right, first)
        loud = chat.unread and not chat.muted
        self._text(px(28), first, words.line(chat.title), "bold" if loud else "body", "text", stamp - px(6))
        badge = self._badge(chat, right, second, back)
        self._text(
            px(28), second, self._preview(chat), "small", "bad" if chat.blocked_by_change else "muted", badge - px(6)
        )
        return bottom + px(2)

    def _dot(self, chat, y, back):
        if chat.peer:
            self._put_dot(self.theme["good" if chat.peer in self.model.online else "line"], y, back)
        else:
            sign = "#" if chat.id == "room:public" else "✎"
            self.canvas.create_text(
                self.theme.px(18), y, text=sign, font=self.theme.fonts["bold"], fill=self.theme["muted"]
            )

    def _put_dot(self, colour, y, back):
        size = self.theme.px(9)
        self.canvas.create_image(self.theme.px(18), y, image=self.theme.pill(size, size, colour, back))

    def _stamp(self, chat, right, y):
        text = words.when(chat.last_ms, self.actions.now_ms()) if chat.last_ms else ""
        self.canvas.create_text(
            right, y, text=text, anchor="e", font=self.theme.fonts["small"], fill=self.theme["muted"]
        )
        return right - self.theme.fonts["small"].measure(text)

    def _badge(self, chat, right, y, back):
        if not chat.unread:
            return right
        text, font = str(chat.unread) if chat.unread < 1000 else "999+", self.theme.fonts["small"]
        height = font.metrics("linespace") + self.theme.px(2)
        width = max(height, font.measure(text) + self.theme.px(11))
        colour = self.theme["muted" if chat.muted else "accent"]
        self.canvas.create_image(right, y, anchor="e", image=self.theme.pill(width, height, colour, back))
        self.canvas.create_text(right - width / 2, y, text=text, font=font, fill=self.theme["on_accent"])
        return right - width

    def _preview(self, chat):
        last = chat.info.get("last")
        if chat.blocked_by_change:
            return "identity changed"
        if not last:
            return "everybody on this server" if chat.peer is None else "no messages yet"
        who = "You: " if last.get("outgoing") else f"{last['from']}: " if chat.peer is None else ""
        return words.line(who + ("message deleted" if last.get("deleted") else last["text"]), 80)

    def _person_row(self, user, top):
        bottom = top + self._height("body", 8)
        middle = (top + bottom) // 2
        back = self._back("@" + user, top, bottom, "online")
        self._put_dot(self.theme["good"], middle, back)
        self._text(
            self.theme.px(28),
            middle,
            words.line(user, 60),
            "body",
            "text",
            self.canvas.winfo_width() - self.theme.px(14),
        )
        return bottom

    def _text(self, x, y, text, font, colour, right):
        font = self.theme.fonts[font]
        self.canvas.create_text(
            x, y, text=fitted(text, font, right - x), anchor="w", font=font, fill=self.theme[colour]
        )

    def _row_at(self, y):
        y = self.canvas.canvasy(y)
        return next((key for top, bottom, key in self._rows if top <= y < bottom), None)

    def row_middle(self, kind, chat_id):
        """Where a row is on the canvas, or None."""
        found = next(((top + bottom) / 2 for top, bottom, key in self._rows if key == (kind, chat_id)), None)
        return None if found is None else found - self.canvas.canvasy(0)

    def _hover_over(self, key):
        if key != self._hover:
            self._hover = key
            self.canvas.configure(cursor="hand2" if key else "")
            self.show()

    def _click(self, event):
        self._open(self._row_at(event.y))

    def _open(self, key):
        if key:
            self.actions.open_chat(key[1])

    def _put_cursor(self, key):
        self._cursor = key
        self.show()

    def _move(self, way):
        keys = [key for _, _, key in self._rows]
        at = (
            keys.index(self._cursor)
            if self._cursor in keys
            else next((at for at, key in enumerate(keys) if key == ("chat", self.model.current)), 0)
        )
        if keys:
            self._put_cursor(keys[min(max(at + way, 0), len(keys) - 1)])
        return "break"


def fitted(text, font, width):
    """The text, cut so that it is no wider than `width`."""
    if font.measure(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.measure(text[:middle] + "…") <= width else (low, middle - 1)
    return text[:low] + "…"

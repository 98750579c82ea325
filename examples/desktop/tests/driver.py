"""Drives a real window from outside: `driver.py DATA_DIR`, an order a line on standard input, an answer on standard
output.

    1 click Register            1 ok
    2 see Public room           2 ok
    3 digits                    3 ok 123451234512345…

What is done is done by events as a keyboard and a mouse send them, to whatever is on the screen. Every order waits
until it can be carried out, and says `no` with what was on the screen if it never can.
"""

import os
import pathlib
import queue
import struct
import sys
import threading
import time
import tkinter as tk
import traceback
import zlib
from tkinter import ttk

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from chatwindow.app import App  # noqa: E402
from chatwindow.paths import Given, find  # noqa: E402

DEADLINE_S = 40
AGAIN_MS = 20
KEYSYMS = {
    " ": "space",
    "!": "exclam",
    "#": "numbersign",
    "'": "apostrophe",
    ",": "comma",
    "-": "minus",
    ".": "period",
    "/": "slash",
    ":": "colon",
    "?": "question",
    "@": "at",
    "_": "underscore",
    "(": "parenleft",
    ")": "parenright",
}


class NotYet(Exception):
    """The order cannot be carried out now."""


class Driver:
    """Carries out orders in Tk's own loop."""

    def __init__(self, app):
        self.app, self.root, self.orders, self.broken = app, app.root, queue.SimpleQueue(), []
        self.root.report_callback_exception = lambda *what: self.broken.append(
            "".join(traceback.format_exception(*what))
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.root.after(AGAIN_MS, self._next)

    def _listen(self):
        for line in sys.stdin:
            self.orders.put(line.rstrip("\n"))
        self.orders.put("0 quit")

    def _next(self):
        try:
            number, verb, *rest = self.orders.get_nowait().split(" ", 2)
        except queue.Empty:
            self.root.after(AGAIN_MS, self._next)
            return
        self._try(number, getattr(self, verb), rest, time.monotonic() + DEADLINE_S)

    def _try(self, number, verb, rest, until):
        try:
            answer = verb(*rest)
        except NotYet as why:
            if time.monotonic() < until and not self.broken:
                self.root.after(AGAIN_MS, self._try, number, verb, rest, until)
                return
            shown = "\n".join([str(why), *self.broken, "--- on the screen:", *self.texts()])
            answer, said = shown.replace("\n", " | "), "no"
        else:
            said = "ok"
        print(number, said, answer or "", flush=True)
        if verb == self.quit:
            self.root.destroy()
        else:
            self.root.after(1, self._next)

    # What is on the screen.

    def widgets(self):
        """Everything that can be seen, children after their parents."""
        found, waiting = [], [self.root]
        while waiting:
            widget = waiting.pop()
            if widget.winfo_viewable():
                found.append(widget)
            waiting.extend(widget.winfo_children())
        return found

    def texts(self):
        """Every text that can be read."""
        for widget in self.widgets():
            if isinstance(widget, tk.Text):
                yield widget.get("1.0", "end-1c")
            elif isinstance(widget, tk.Canvas):
                yield from (widget.itemcget(item, "text") for item in widget.find_all() if widget.type(item) == "text")
            elif isinstance(widget, ttk.Entry):
                yield "" if str(widget.cget("show")) else widget.get()
            elif isinstance(widget, (ttk.Label, ttk.Button, tk.Label)):
                yield str(widget.cget("text"))

    def see(self, text):
        if not any(text in shown for shown in self.texts()):
            raise NotYet(f"`{text}` is not to be seen")

    def gone(self, text):
        if any(text in shown for shown in self.texts()):
            raise NotYet(f"`{text}` is still to be seen")

    def titled(self, text):
        if self.root.title() != text:
            raise NotYet(f"the title is `{self.root.title()}`")

    def digits(self):
        for widget in self.widgets():
            if isinstance(widget, ttk.Label) and str(widget.cget("style")) == "Digits.TLabel":
                return "".join(str(widget.cget("text")).split())
        raise NotYet("no safety number is shown")

    def _row(self, kind, chat):
        canvas = self.app.sidebar.canvas
        y = self.app.sidebar.row_middle(kind, chat)
        if y is None or not canvas.winfo_viewable():
            raise NotYet(f"there is no row for {chat}")
        return canvas, y

    def _row_texts(self, kind, chat):
        canvas, y = self._row(kind, chat)
        half = 8
        found = canvas.find_overlapping(0, canvas.canvasy(y) - half, canvas.winfo_width(), canvas.canvasy(y) + 2 * half)
        return [canvas.itemcget(item, "text") for item in found if canvas.type(item) == "text"]

    def badge(self, rest):
        """`CHAT NUMBER`: so many unread messages stand beside the chat; 0 for none."""
        chat, number = rest.split()
        shown = [text for text in self._row_texts("chat", chat) if text.isdigit()]
        if shown != ([] if number == "0" else [number]):
            raise NotYet(f"beside {chat} stands {shown}")

    def online(self, user):
        self._row("online", "@" + user)

    def offline(self, user):
        if self.app.sidebar.row_middle("online", "@" + user) is not None:
            raise NotYet(f"{user} is still shown as online")

    # What a hand does.

    def click(self, text):
        for widget in reversed(self.widgets()):
            if isinstance(widget, ttk.Button) and str(widget.cget("text")) == text and not widget.instate(["disabled"]):
                self._press(widget, widget.winfo_width() // 2, widget.winfo_height() // 2)
                return
        raise NotYet(f"there is no button `{text}` to press")

    def chat(self, chat):
        self._press(*self._middle("chat", chat))

    def person(self, user):
        self._press(*self._middle("online", "@" + user))

    def _middle(self, kind, chat):
        canvas, y = self._row(kind, chat)
        return canvas, canvas.winfo_width() // 2, int(y)

    def link(self, text):
        """Clicks on words in the history."""
        history = self.app.conversation.history.text
        at = history.search(text, "1.0")
        box = history.bbox(at) if at else None
        if not box:
            raise NotYet(f"there is no `{text}` in sight")
        self._press(history, box[0] + 2, box[1] + box[3] // 2)

    def into(self, name):
        for widget in self.widgets():
            if isinstance(widget, ttk.Entry) and widget.winfo_name() == name:
                self._press(widget, 5, 5)
                widget.selection_range(0, "end")
                return
        raise NotYet(f"there is no field `{name}`")

    @staticmethod
    def _press(widget, x, y):
        widget.event_generate("<Enter>", x=x, y=y)
        widget.event_generate("<Motion>", x=x, y=y)
        widget.event_generate("<ButtonPress-1>", x=x, y=y)
        widget.event_generate("<ButtonRelease-1>", x=x, y=y)

    def _focused(self):
        widget = self.root.focus_get()
        if widget is None or not widget.winfo_viewable():
            self.root.focus_lastfor().focus_force()
            raise NotYet("nothing has the focus")
        return widget

    def type(self, text):
        self._focused()
        for character in text:
            self._focused().event_generate("<Key>", keysym=KEYSYMS.get(character, character))

    def press(self, keys):
        self._focused().event_generate(f"<{keys}>")

    def seek(self, text):
        """Scrolls up until the text comes."""
        try:
            self.see(text)
        except NotYet:
            self.press("Prior")
            raise

    def paste(self, text):
        widget = self._focused()
        self.root.clipboard_clear()
        self.root.clipboard_append(text)
        widget.event_generate("<<Paste>>")

    def file(self, name):
        """What the file chooser would return."""
        self.app.entrance.read_invite(name)

    def menu(self, label):
        self.click("⋮")
        menu = next(widget for widget in self.app.sidebar.winfo_children() if isinstance(widget, tk.Menu))
        menu.unpost()
        menu.invoke(label)
        menu.destroy()

    def photo(self, name):
        """The screen as a picture, out of the file in which Xvfb keeps it."""
        self.root.update()
        self.root.winfo_pointerx()  # answered when everything before was drawn
        pathlib.Path(name).write_bytes(png(*pixels(pathlib.Path(os.environ["SCREEN_FILE"]).read_bytes())))

    def quit(self):
        if self.broken:
            raise NotYet("something broke")


def pixels(dump):
    """Width, height, and rows of red, green and blue, of an X window dump with 32 bits a pixel."""
    header = struct.unpack(">25I", dump[:100])
    width, height, line = header[4], header[5], header[12]
    start = header[0] + 12 * header[19]
    rows = (dump[start + y * line : start + y * line + 4 * width] for y in range(height))
    return width, height, [_rgb(row) for row in rows]


def _rgb(row):
    """Blue, green, red and nothing become red, green and blue."""
    out = bytearray(len(row) // 4 * 3)
    out[0::3], out[1::3], out[2::3] = row[2::4], row[1::4], row[0::4]
    return bytes(out)


def png(width, height, rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def main(data_dir):
    root = tk.Tk(className="Chat")
    app = App(root, lambda: find(os.environ, Given(data_dir=data_dir)))
    root.geometry("1000x720+0+0")
    root.wait_visibility()
    root.focus_force()
    Driver(app)
    print("ready", flush=True)
    root.mainloop()


if __name__ == "__main__":
    main(sys.argv[1])

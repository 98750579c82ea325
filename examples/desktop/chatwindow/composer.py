"""Where one writes: grows with its text, sends on Enter, and says why when it cannot."""

import tkinter as tk
from tkinter import ttk

MAX_LINES = 7
# The share of the limit from which on it is told how much is left.
NEARLY = 0.9


class Composer(ttk.Frame):
    """A text field and its button; hands the text to `on_send(text)`."""

    def __init__(self, parent, theme, on_send):
        super().__init__(parent, padding=(theme.px(14), theme.px(8), theme.px(14), theme.px(12)))
        self.theme, self.on_send, self.limit = theme, on_send, 0
        self._allowed, self._why = True, ""
        self.frame = tk.Frame(self, background=theme["line"], padx=1, pady=1)
        self.text = tk.Text(
            self.frame,
            height=1,
            wrap="word",
            relief="flat",
            highlightthickness=0,
            undo=True,
            font=theme.fonts["body"],
            background=theme["field"],
            foreground=theme["text"],
            insertbackground=theme["text"],
            padx=theme.px(10),
            pady=theme.px(8),
            selectbackground=theme["selected"],
            selectforeground=theme["text"],
            maxundo=500,
        )
        self.hint = tk.Label(
            self.text,
            background=theme["field"],
            foreground=theme["muted"],
            font=theme.fonts["body"],
            cursor="xterm",
            borderwidth=0,
            padx=0,
            pady=0,
        )
        self.send = ttk.Button(self, text="Send", style="Accent.TButton", command=self._send)
        self.left = ttk.Label(self, style="Muted.TLabel")
        self._arrange()
        self._listen()

    def _arrange(self):
        self.columnconfigure(0, weight=1)
        self.text.pack(fill="both", expand=True)
        self.frame.grid(row=0, column=0, sticky="nsew")
        self.send.grid(row=0, column=1, sticky="s", padx=(self.theme.px(8), 0))
        self.left.grid(row=1, column=0, sticky="w")
        self.left.grid_remove()

    def _listen(self):
        self.text.bind("<Return>", self._enter)
        self.text.bind("<KP_Enter>", self._enter)
        self.text.bind("<Shift-Return>", lambda _: None)
        self.text.bind("<<Modified>>", self._changed)
        self.text.bind("<Configure>", lambda _: self._fit())
        self.text.bind("<Tab>", lambda _: self._leave(self.text.tk_focusNext()))
        self.text.bind("<Shift-Tab>", lambda _: self._leave(self.text.tk_focusPrev()))
        self.text.bind("<FocusIn>", lambda _: self.frame.configure(background=self.theme["accent"]))
        self.text.bind("<FocusOut>", lambda _: self.frame.configure(background=self.theme["line"]))
        self.hint.bind("<Button-1>", lambda _: self.text.focus_set())

    @staticmethod
    def _leave(widget):
        widget.focus_set()
        return "break"

    def _enter(self, _):
        self._send()
        return "break"

    def _send(self):
        text = self.get().strip("\n")
        if text.strip() and self._allowed and not self._too_long(text):
            self.put("")
            self.on_send(text)

    def get(self):
        """What stands there."""
        return self.text.get("1.0", "end-1c")

    def put(self, text):
        """Puts another text there."""
        self.text.delete("1.0", "end")
        self.text.insert("1.0", text)
        self.text.edit_reset()
        self._show()

    def type(self, characters):
        """Goes on with what was begun elsewhere."""
        self.text.focus_set()
        self.text.insert("insert", characters)

    def invite(self, hint):
        """What stands there while it is empty."""
        self.hint.configure(text=hint)
        self._show()

    def allow(self, allowed, why=""):
        """Whether anything may be sent; what was written stays."""
        self._allowed, self._why = allowed, why
        self._show()

    def _changed(self, _):
        self.text.edit_modified(False)
        self._show()

    def _too_long(self, text):
        return self.limit and len(text.encode(errors="replace")) > self.limit

    def _show(self):
        text = self.get()
        if text:
            self.hint.place_forget()
        else:
            self.hint.place(x=1, y=0)
        over = self._too_long(text)
        self.send.state(["!disabled" if self._allowed and text.strip() and not over else "disabled"])
        self._tell(text, over)
        self._fit()

    def _tell(self, text, over):
        size = len(text.encode(errors="replace"))
        said = "" if self._allowed else self._why
        if self.limit and size > self.limit * NEARLY:
            said = f"{size - self.limit:,} bytes too long" if over else f"{self.limit - size:,} bytes left"
        self.left.configure(text=said, style="Bad.TLabel" if over or not self._allowed else "Muted.TLabel")
        self.left.grid() if said else self.left.grid_remove()

    def _fit(self):
        lines = self.text.count("1.0", "end", "displaylines")
        wanted = min(max(lines[0] if lines else 1, 1), MAX_LINES)
        if int(self.text.cget("height")) != wanted:
            self.text.configure(height=wanted)

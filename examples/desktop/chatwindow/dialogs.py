"""Windows over the window: Escape closes them, and the focus goes back to where it was."""

import tkinter as tk
from tkinter import ttk


class Dialog(tk.Toplevel):
    """One at a time, in the middle of its parent."""

    def __init__(self, parent, theme, title):
        super().__init__(parent, background=theme["muted"], padx=1, pady=1)
        self.withdraw()
        self.title(title)
        self.theme = theme
        self._before = parent.focus_lastfor()
        self.transient(parent.winfo_toplevel())
        self.bind("<Escape>", lambda _: self.close())
        self.protocol("WM_DELETE_WINDOW", self.close)
        self.page = ttk.Frame(self, padding=theme.px(22))
        self.page.pack(fill="both", expand=True)
        self.buttons = ttk.Frame(self, padding=(theme.px(22), 0, theme.px(22), theme.px(18)))
        self.buttons.pack(side="bottom", fill="x")
        ttk.Label(self.page, text=title, style="Title.TLabel").pack(anchor="w", pady=(0, theme.px(10)))

    def say(self, text, style="TLabel", below=10):
        """A paragraph."""
        label = ttk.Label(self.page, text=text, style=style, wraplength=self.theme.px(440), justify="left")
        label.pack(anchor="w", pady=(0, self.theme.px(below)))
        return label

    def button(self, text, action, style="TButton"):
        """A button, to the left of those that are there."""
        button = ttk.Button(self.buttons, text=text, command=action, style=style)
        button.pack(side="right", padx=(self.theme.px(8), 0))
        return button

    def open(self, first=None):
        """Shows it, with the focus on `first`."""
        self.update_idletasks()
        over = self.master.winfo_toplevel()
        x = over.winfo_rootx() + (over.winfo_width() - self.winfo_reqwidth()) // 2
        y = over.winfo_rooty() + (over.winfo_height() - self.winfo_reqheight()) // 3
        self.geometry(f"+{max(x, 0)}+{max(y, 0)}")
        self.resizable(False, False)
        self.deiconify()
        self.wait_visibility()
        self.grab_set()
        (first or self).focus_force()

    def close(self):
        """Takes it away."""
        self.grab_release()
        self.destroy()
        if self._before.winfo_exists():
            self._before.focus_set()


def confirm(parent, theme, title, text, button, action):
    """Asks before something is done."""
    dialog = Dialog(parent, theme, title)
    dialog.say(text)

    def agreed():
        dialog.close()
        action()

    yes = dialog.button(button, agreed, "Accent.TButton")
    dialog.button("Cancel", dialog.close)
    dialog.open(yes)


class WriteTo(Dialog):
    """Asks for a name; hands it to `found(user)` once the server knows it."""

    def __init__(self, parent, theme, session, found):
        super().__init__(parent, theme, "Write to somebody")
        self._session, self._found = session, found
        self.say("Their name on this server. They need not be online.")
        self._entry = ttk.Entry(self.page, width=34, font=theme.fonts["body"], name="name")
        self._entry.pack(fill="x")
        self._trouble = self.say("", "Bad.TLabel", below=0)
        self._go = self.button("Open chat", self._look_up, "Accent.TButton")
        self.button("Cancel", self.close)
        self._entry.bind("<Return>", lambda _: self._look_up())
        self.open(self._entry)

    def _look_up(self):
        user = self._entry.get().strip().lstrip("@")
        if user:
            self._session.client.call("user.lookup", {"users": [user]}, self._known, self._say)

    def _say(self, refused):
        if self.winfo_exists():
            self._trouble.configure(text=refused.message)

    def _known(self, answer):
        if not self.winfo_exists():
            return
        info = answer["users"][0]
        if not info["exists"]:
            self._trouble.configure(text=f"There is no {info['user']} on this server")
            return
        self.close()
        self._found(info["user"])

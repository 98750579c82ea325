"""The page before there is an account: register, or log in."""

from tkinter import filedialog, ttk

from chatwindow import words

# An invite is a line; what is much longer is another file.
MAX_INVITE_BYTES = 4096
NEW = "Your daemon has no account yet. An invite from whoever runs the server is all you need."
STATES = {
    "unfinished": "A reset of this account waits for its time: `chatctl status` shows until when, `chatctl reset` ends it.",
    "approval_required": "Another device of this account has to let this one in: `chatctl device approve` on both. If none "
    "is left, `chatctl reset` begins the account anew.",
    "refused": "The server refuses this device. Log in again; if no other device is left, `chatctl reset` begins the "
    "account anew.",
    "revoked": "The server says that this device was revoked. To be a new one: `chatctl logout --forget-keys --yes` first.",
    "logged_out": "You are logged out. Your keys and your history are still here.",
}


class Entrance(ttk.Frame):
    """A form in the middle of the window."""

    def __init__(self, parent, theme, session):
        super().__init__(parent)
        self.theme, self._session, self._busy, self._prefilled = theme, session, False, None
        self.registering = True
        self.card = ttk.Frame(self, padding=theme.px(30))
        self.card.place(relx=0.5, rely=0.46, anchor="center")
        self.heading = ttk.Label(self.card, style="Huge.TLabel")
        self.heading.grid(row=0, columnspan=2, sticky="w")
        self.state = ttk.Label(self.card, style="Muted.TLabel", wraplength=theme.px(380))
        self.state.grid(row=1, columnspan=2, sticky="w", pady=(theme.px(2), theme.px(14)))
        self.card.columnconfigure(0, weight=1)
        self._fields()
        self._buttons()
        self._arrange()

    def _fields(self):
        self.user = self._field(2, "user", "Name")
        self.password = self._field(4, "password", "Password", show="•")
        self.again_label, self.again = self._labelled(6, "again", "The same password again", show="•")
        self.invite_label, self.invite = self._labelled(8, "invite", "Invite", columnspan=1, show="•")
        self.file = ttk.Button(self.card, text="From file…", command=self._choose)
        self.file.grid(row=9, column=1, sticky="ew", padx=(self.theme.px(8), 0))
        self.shown = ttk.Checkbutton(self.card, text="Show password and invite", command=self._reveal)
        self.shown.state(["!alternate", "!selected"])
        self.shown.grid(row=10, columnspan=2, sticky="w", pady=(self.theme.px(8), 0))

    def _field(self, row, name, label, **options):
        return self._labelled(row, name, label, **options)[1]

    def _labelled(self, row, name, label, columnspan=2, **options):
        title = ttk.Label(self.card, text=label, style="Field.TLabel")
        title.grid(row=row, columnspan=2, sticky="w", pady=(self.theme.px(8), self.theme.px(2)))
        entry = ttk.Entry(self.card, width=36, font=self.theme.fonts["body"], name=name, **options)
        entry.grid(row=row + 1, column=0, columnspan=columnspan, sticky="ew")
        entry.bind("<Return>", lambda _: self.submit())
        return title, entry

    def _buttons(self):
        self.trouble = ttk.Label(self.card, style="Bad.TLabel", wraplength=self.theme.px(380), justify="left")
        self.trouble.grid(row=11, columnspan=2, sticky="w", pady=(self.theme.px(10), 0))
        self.go = ttk.Button(self.card, style="Accent.TButton", command=self.submit)
        self.go.grid(row=12, columnspan=2, sticky="ew", pady=(self.theme.px(12), self.theme.px(8)))
        self.other = ttk.Button(self.card, style="Link.TButton", command=self.switch)
        self.other.grid(row=13, columnspan=2)

    def _arrange(self):
        doing = "Register" if self.registering else "Log in"
        self.heading.configure(text=doing)
        self.go.configure(text="Please wait…" if self._busy else doing)
        self.go.state(["disabled" if self._busy else "!disabled"])
        self.other.configure(text="I have an account: log in" if self.registering else "I am new here: register")
        for widget in (self.again_label, self.again):
            widget.grid() if self.registering else widget.grid_remove()

    def switch(self):
        """From registering to logging in, and back."""
        self.registering = not self.registering
        self.trouble.configure(text="")
        self._arrange()
        self.user.focus_set()

    def show(self, account):
        """Fits the form to what is known of the account."""
        self.state.configure(text=STATES.get(account.get("state"), NEW))
        server = account.get("server")
        known = f"Invite; may stay empty for {words.line(server, 60)}" if server else None
        self.invite_label.configure(text=known or "Invite: paste it, or choose the file it is in")
        state = (account.get("state"), account.get("user"))
        if state != self._prefilled:
            self._prefilled = state
            self.registering = state[0] == "none"
            if account.get("user"):
                self._put(self.user, account["user"])
            self._arrange()
            (self.password if account.get("user") else self.user).focus_set()

    @staticmethod
    def _put(entry, text):
        entry.delete(0, "end")
        entry.insert(0, text)

    def _reveal(self):
        for entry in (self.password, self.again, self.invite):
            entry.configure(show="" if self.shown.instate(["selected"]) else "•")

    def _choose(self):
        name = filedialog.askopenfilename(parent=self, title="The file with the invite")
        if name:
            self.read_invite(name)

    def read_invite(self, name):
        """Takes the invite out of a file."""
        try:
            with open(name, encoding="utf-8") as file:
                text = file.read(MAX_INVITE_BYTES + 1).strip()
        except (OSError, ValueError) as error:
            self._fail(f"The file cannot be read: {words.line(str(error))}")
            return
        if not text or len(text.splitlines()) != 1 or len(text) > MAX_INVITE_BYTES:
            self._fail("There is no invite in this file: it would be one line that begins with chat://")
            return
        self._put(self.invite, text)
        self._fail("")

    def _fail(self, text):
        self.trouble.configure(text=text)

    def _missing(self):
        if not self.user.get().strip():
            return "A name is missing", self.user
        if not self.password.get():
            return "A password is missing", self.password
        if self.registering and self.password.get() != self.again.get():
            return "The two passwords are not the same", self.again
        return None

    def submit(self):
        """Sends the form, unless something is missing."""
        missing = self._missing()
        if missing:
            self._fail(missing[0])
            missing[1].focus_set()
        elif not self._busy:
            self._begin()

    def _begin(self):
        params = {"user": self.user.get().strip(), "password": self.password.get()}
        if self.invite.get().strip():
            params["invite"] = self.invite.get().strip()
        self._set_busy(True)
        self._fail("")
        method = "account.register" if self.registering else "account.login"
        self._session.enter(method, params, self._entered, self._refused)

    def _set_busy(self, busy):
        self._busy = busy
        self._arrange()

    def _entered(self, _):
        self._set_busy(False)
        for entry in (self.password, self.again, self.invite):
            entry.delete(0, "end")

    def _refused(self, refused):
        self._set_busy(False)
        hint = f". {words.sentence(words.line(refused.hint))}" if refused.hint else ""
        self._fail(words.sentence(words.line(refused.message)) + hint)
        if refused.kind == "bad_credentials":
            self.password.focus_set()
            self.password.selection_range(0, "end")

"""Who the other is: the safety number, what to do with it, and what to decide when an identity changed."""

from tkinter import ttk

from chatwindow import words
from chatwindow.dialogs import Dialog

COMPARE = (
    "Compare these digits with {peer} in a way nobody can play them false: side by side, or on the phone if you know "
    "the voice. If both of you see the same digits, nobody is between you, not even the server. If they differ, "
    "somebody may be reading along: do not go on here."
)
CHANGED = (
    "The server now shows another identity for {peer} than the one you know. {peer} may have lost a device and begun "
    "anew, or somebody is in between. Ask {peer} in another way to read out their own fingerprint (chatctl status "
    "shows it), and compare it with the new one below. Nothing is sent until you decide."
)
STATES = {"tofu": "taken at first sight, not compared", "verified": "compared", "revoked": "a former one"}
WHILE_CHANGED = {"tofu": "the one you know", "verified": "the one you know, compared", "changed": "THE NEW ONE"}
# So many identities of a peer are shown, the newest ones.
SHOWN = 3


class Identity(Dialog):
    """The panel about one peer."""

    def __init__(self, parent, theme, session, user):
        super().__init__(parent, theme, f"You and {words.line(user, 40)}")
        self._session, self._user = session, user
        self.say("Asking chatd…", "Muted.TLabel")
        self.open(self.button("Close", self.close))
        self._ask()

    def _ask(self):
        self._session.client.call("identity.get", {"user": self._user}, self._show, self._trouble)

    def _trouble(self, refused):
        if self.winfo_exists():
            hint = f"\n{words.sentence(words.line(refused.hint))}" if refused.hint else ""
            self.say(words.sentence(words.line(refused.message)) + hint, "Bad.TLabel")

    def _show(self, identity):
        if not self.winfo_exists():
            return
        for widget in [*self.page.winfo_children()[1:], *self.buttons.winfo_children()]:
            widget.destroy()
        changed = identity["state"] == "changed"
        if changed:
            # The number is still that of the identity one knew: it would prove nothing about the new one.
            self.say(CHANGED.format(peer=self._user))
        else:
            self._number(identity)
        self._prints(identity, {**STATES, **WHILE_CHANGED} if changed else STATES)
        first = self._decide(identity["seen"]) if changed else self.button("Close", self.close)
        first.focus_set()

    def _number(self, identity):
        number = identity.get("safety_number")
        if number:
            ttk.Label(self.page, text="Safety number", style="Field.TLabel").pack(anchor="w")
            self.say(words.groups(number), "Digits.TLabel")
            self.say(COMPARE.format(peer=self._user))

    def _prints(self, identity, states):
        self._print("Your fingerprint", self._session.model.account.get("fingerprint", ""))
        for seen in identity["seen"][-SHOWN:]:
            state = states.get(seen["state"], seen["state"])
            self._print(f"{self._user}'s fingerprint: {state}", seen["fingerprint"])

    def _print(self, title, fingerprint):
        ttk.Label(self.page, text=words.line(title), style="Field.TLabel").pack(anchor="w")
        self.say(words.fingerprint(fingerprint), "Fixed.TLabel")

    def _decide(self, seen):
        """The two that may be accepted: the new one, and the one that was known."""
        new = next(identity for identity in reversed(seen) if identity["state"] == "changed")
        known = [identity for identity in seen if identity["state"] in ("tofu", "verified")]
        self.button("Accept the new identity", lambda: self._accept(new))
        if known:
            self.button("Keep the old one", lambda: self._accept(known[-1]))
        return self.button("Decide later", self.close)

    def _accept(self, identity):
        params = {"user": self._user, "fingerprint": identity["fingerprint"], "head": identity["head"]}
        self._session.client.call("identity.accept", params, self._accepted, self._conflict)

    def _accepted(self, identity):
        self._session.model.know_identity(self._user, identity["state"])
        self._session.model.stale.add("@" + self._user)
        self._show(identity)

    def _conflict(self, refused):
        """It changed again while it was looked at: what is there now has to be looked at."""
        if self.winfo_exists():
            self._ask()
            self._trouble(refused)


class Own(Dialog):
    """The panel about oneself."""

    def __init__(self, parent, theme, model):
        super().__init__(parent, theme, "Your identity")
        account = model.account
        self.say(f"{account.get('user', '')} at {account.get('server', '')}")
        ttk.Label(self.page, text="Your fingerprint", style="Field.TLabel").pack(anchor="w")
        self.say(words.fingerprint(account.get("fingerprint", "")), "Fixed.TLabel")
        self.say(
            "To be sure of somebody, open your chat with them and compare the safety number there.", "Muted.TLabel", 0
        )
        self.open(self.button("Close", self.close))

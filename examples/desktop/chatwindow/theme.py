"""How everything looks: colours, fonts, distances, and small round shapes. No widget chooses its own."""

import ctypes
import tkinter as tk
import zlib
from tkinter import font, ttk

LIGHT = {
    "side": "#f4f5f7",
    "page": "#ffffff",
    "line": "#e1e4e8",
    "hover": "#e9ecf0",
    "chosen": "#dbe7f3",
    "text": "#1f2933",
    "muted": "#6a7684",
    "accent": "#2f6f9f",
    "accent_dark": "#255a82",
    "on_accent": "#ffffff",
    "own": "#eef5fb",
    "note": "#8a6d1d",
    "good": "#2e9e5b",
    "soso": "#d69e2e",
    "bad": "#c8453b",
    "warn_back": "#fff6dd",
    "warn_text": "#6b4e00",
    "danger_back": "#fdeceb",
    "danger_text": "#8f231c",
    "field": "#ffffff",
    "selected": "#bcd7ee",
}
DARK = {
    "side": "#1f242b",
    "page": "#262c34",
    "line": "#39414c",
    "hover": "#2b323b",
    "chosen": "#34465a",
    "text": "#e4e8ed",
    "muted": "#98a3b0",
    "accent": "#5fa3d3",
    "accent_dark": "#7db8e2",
    "on_accent": "#10202c",
    "own": "#2b3642",
    "note": "#d9b95b",
    "good": "#57c785",
    "soso": "#e0b04a",
    "bad": "#e8776d",
    "warn_back": "#453a1d",
    "warn_text": "#f2dfa6",
    "danger_back": "#4a2522",
    "danger_text": "#f7c9c5",
    "field": "#1f242b",
    "selected": "#3f5f7d",
}
NAMES_LIGHT = ("#9c4221", "#22703f", "#5a4bb5", "#a3326b", "#1d6f7a", "#7a5b12", "#3d5aa8", "#8a3a3a")
NAMES_DARK = ("#f0a37f", "#7fd1a0", "#b4a9f2", "#f09ac4", "#7fd0da", "#dcc07a", "#9db5f2", "#e8a3a3")
FAMILIES = ("Inter", "Noto Sans", "Cantarell", "Ubuntu", "Segoe UI", "DejaVu Sans")
FIXED = ("JetBrains Mono", "Noto Sans Mono", "Ubuntu Mono", "DejaVu Sans Mono")
SIZES = {"body": 11, "bold": 11, "title": 14, "huge": 20, "small": 9, "fixed": 11, "digits": 15}
ZOOM = range(-3, 9)
# The first libXft that survives an emoji in colour: 2.3.5.
SAFE_XFT = 20305


class Theme:
    """One look, for one window."""

    def __init__(self, root, dark=False, scale=None):
        self.root, self.colours = root, DARK if dark else LIGHT
        self._names = NAMES_DARK if dark else NAMES_LIGHT
        if scale:
            root.tk.call("tk", "scaling", scale * 96 / 72)
        self._scale = float(root.tk.call("tk", "scaling")) * 72 / 96
        self._shapes, self._zoom = {}, 0
        self.fonts = self._make_fonts()
        self._style()

    def __getitem__(self, name):
        return self.colours[name]

    def px(self, length):
        """A distance as this screen needs it."""
        return round(length * self._scale)

    def zoom(self, steps):
        """Makes all words larger or smaller; 0 is as it was."""
        wanted = self._zoom + steps if steps else 0
        self._zoom = wanted if wanted in ZOOM else self._zoom
        for name, size in SIZES.items():
            self.fonts[name].configure(size=size + self._zoom)

    def name_colour(self, user):
        """A colour for a name, always the same one."""
        return self._names[zlib.crc32(user.encode(errors="replace")) % len(self._names)]

    def _make_fonts(self):
        have = set(font.families(self.root))
        family = next((name for name in FAMILIES if name in have), font.nametofont("TkDefaultFont").actual("family"))
        fixed = next((name for name in FIXED if name in have), font.nametofont("TkFixedFont").actual("family"))
        made = {}
        for name, size in SIZES.items():
            weight = "bold" if name in ("bold", "title", "huge") else "normal"
            chosen = fixed if name in ("fixed", "digits") else family
            made[name] = font.Font(self.root, family=chosen, size=size, weight=weight)
        return made

    def _style(self):
        style = ttk.Style(self.root)
        style.theme_use("clam")
        self.root.configure(background=self["page"])
        style.configure(
            ".",
            background=self["page"],
            foreground=self["text"],
            font=self.fonts["body"],
            bordercolor=self["line"],
            lightcolor=self["page"],
            darkcolor=self["page"],
            troughcolor=self["side"],
            fieldbackground=self["field"],
            insertcolor=self["text"],
            selectbackground=self["selected"],
            selectforeground=self["text"],
            focuscolor=self["accent"],
        )
        self._style_labels(style)
        self._style_buttons(style)
        self._style_fields(style)

    def _style_labels(self, style):
        for name, colour in (("Muted", "muted"), ("Bad", "bad")):
            style.configure(f"{name}.TLabel", foreground=self[colour], font=self.fonts["small"])
        style.configure("Title.TLabel", font=self.fonts["title"])
        style.configure("Huge.TLabel", font=self.fonts["huge"])
        style.configure("Digits.TLabel", font=self.fonts["digits"])
        style.configure("Fixed.TLabel", font=self.fonts["fixed"])
        style.configure("Field.TLabel", foreground=self["muted"], font=self.fonts["small"])
        for name in ("Side", "Status"):
            style.configure(f"{name}.TFrame", background=self["side"])
            style.configure(
                f"{name}.TLabel", background=self["side"], foreground=self["muted"], font=self.fonts["small"]
            )
        for name, kind in (("Warn", "warn"), ("Danger", "danger")):
            style.configure(f"{name}.TFrame", background=self[f"{kind}_back"])
            style.configure(f"{name}.TLabel", background=self[f"{kind}_back"], foreground=self[f"{kind}_text"])
        style.configure("Line.TFrame", background=self["line"])

    def _style_buttons(self, style):
        pad = (self.px(12), self.px(6))
        style.configure(
            "TButton",
            padding=pad,
            width=-7,
            background=self["side"],
            borderwidth=1,
            relief="flat",
            anchor="center",
            bordercolor=self["line"],
            lightcolor=self["side"],
            darkcolor=self["side"],
        )
        style.map(
            "TButton",
            background=[("disabled", self["side"]), ("active", self["hover"])],
            lightcolor=[("active", self["hover"])],
            darkcolor=[("active", self["hover"])],
            bordercolor=[("focus", self["accent"])],
            foreground=[("disabled", self["muted"])],
        )
        style.configure(
            "Accent.TButton",
            background=self["accent"],
            foreground=self["on_accent"],
            bordercolor=self["accent"],
            lightcolor=self["accent"],
            darkcolor=self["accent"],
        )
        loud = [("disabled", self["line"]), ("active", self["accent_dark"]), ("focus", self["accent_dark"])]
        style.map(
            "Accent.TButton",
            background=loud,
            lightcolor=loud,
            darkcolor=loud,
            bordercolor=loud,
            foreground=[("disabled", self["muted"])],
        )
        for name, back in (("Quiet", "page"), ("SideQuiet", "side")):
            style.configure(
                f"{name}.TButton",
                background=self[back],
                bordercolor=self[back],
                lightcolor=self[back],
                darkcolor=self[back],
                padding=(self.px(8), self.px(4)),
            )
            style.map(f"{name}.TButton", bordercolor=[("focus", self["accent"])])
        style.configure(
            "Link.TButton",
            background=self["page"],
            bordercolor=self["page"],
            lightcolor=self["page"],
            darkcolor=self["page"],
            foreground=self["accent"],
            padding=(0, self.px(2)),
        )
        style.configure(
            "TCheckbutton", background=self["page"], indicatorbackground=self["field"], font=self.fonts["small"]
        )
        style.map("TCheckbutton", background=[("active", self["page"])])

    def _style_fields(self, style):
        style.configure("TEntry", padding=self.px(6), bordercolor=self["line"], lightcolor=self["field"])
        style.map("TEntry", bordercolor=[("focus", self["accent"])], lightcolor=[("focus", self["field"])])
        for prefix, back in (("", "page"), ("Side.", "side")):
            self._style_bar(style, prefix + "Vertical.TScrollbar", back)
        style.configure("TPanedwindow", background=self["line"])
        style.configure(
            "Sash",
            sashthickness=self.px(4),
            background=self["line"],
            bordercolor=self["line"],
            lightcolor=self["line"],
            gripcount=0,
        )

    def _style_bar(self, style, name, back):
        plain = {"bordercolor": self[back], "lightcolor": self[back], "darkcolor": self[back]}
        style.configure(
            name, background=self["line"], troughcolor=self[back], arrowsize=self.px(9), gripcount=0, **plain
        )
        hidden = [("disabled", self[back])]
        style.map(
            name,
            background=[*hidden, ("active", self["muted"])],
            bordercolor=hidden,
            lightcolor=hidden,
            darkcolor=hidden,
        )
        style.layout(
            name,
            [
                (
                    "Vertical.Scrollbar.trough",
                    {"sticky": "ns", "children": [("Vertical.Scrollbar.thumb", {"expand": "1", "sticky": "nswe"})]},
                )
            ],
        )

    def pill(self, width, height, colour, back):
        """A picture of a bar with round ends, smooth on `back`; as high as wide it is a dot."""
        key = (width, height, colour, back)
        if key not in self._shapes:
            self._shapes[key] = self._draw_pill(*key)
        return self._shapes[key]

    def _draw_pill(self, width, height, colour, back):
        inner, outer = _rgb(colour), _rgb(back)
        rows = []
        for y in range(height):
            shares = [_covered(x + 0.5, y + 0.5, width, height) for x in range(width)]
            rows.append("{" + " ".join(_mix(inner, outer, share) for share in shares) + "}")
        picture = tk.PhotoImage(master=self.root, width=width, height=height)
        picture.put(" ".join(rows))
        return picture


def _covered(x, y, width, height):
    """How much of the pixel at this middle the pill covers, 0 to 1."""
    radius = height / 2
    nearest = min(max(x, radius), width - radius)
    away = ((x - nearest) ** 2 + (y - radius) ** 2) ** 0.5
    return min(max(radius - away + 0.5, 0), 1)


def _rgb(colour):
    return tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5))


def _mix(inner, outer, share):
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in zip(inner, outer))


def draws_emoji(root):
    """Whether this screen survives an emoji in colour."""
    if root.tk.call("tk", "windowingsystem") != "x11":
        return True
    try:
        return ctypes.CDLL("libXft.so.2").XftGetVersion() >= SAFE_XFT
    except (OSError, AttributeError):
        return True

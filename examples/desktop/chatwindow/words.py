"""What is shown of texts, times, states and errors: words a screen can be trusted with.

Nothing that somebody else wrote reaches a widget except through `line` or `body`.
"""

import time
import unicodedata

# A text is shown up to here at first, and four times as far whenever more is asked for: nobody fills the screen of
# others, or keeps it busy with drawing.
MAX_SHOWN_CHARACTERS = 2_000
MAX_SHOWN_LINES = 30
# Drawing an emoji in colour takes as long as so many letters.
EMOJI_CHARACTERS = 10
# Letters of living languages carry fewer marks than this; more of them paint over the lines around.
MAX_MARKS = 4

_UNSEEN = (
    {0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF}
    | set(range(0x2028, 0x202F))
    | set(range(0x2060, 0x2070))
    | set(range(0xFFF9, 0xFFFC))
)


def _treacherous(character):
    """Moves the cursor, turns the text around, or cannot be seen; as chatctl has it. Half a pair is none at all."""
    point = ord(character)
    return unicodedata.category(character) in ("Cc", "Cs") or point in _UNSEEN or 0xE0000 <= point <= 0xE0FFF


class Screen:
    """What this screen can draw. Some versions of libXft end the program when they meet an emoji in colour."""

    draws_emoji = True


def escape(text):
    """Text of others made harmless, on one line; `\\n`, tabs and treacherous characters are written out."""
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    shown, marks = [], 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        hidden = _treacherous(character) or marks > MAX_MARKS or not (Screen.draws_emoji or ord(character) < 0x10000)
        code = f"\\u{{{ord(character):x}}}"
        shown.append(short.get(character, code) if hidden else character)
    return "".join(shown)


def line(text, most=200):
    """The same, and not longer than `most` characters."""
    clipped = text if len(text) <= most else text[: most - 1] + "…"
    return escape(clipped)


def body(text, more=0):
    """A message's text in lines of its own, and how many characters were left out after asking `more` times."""
    shown = text[: _end(text, MAX_SHOWN_CHARACTERS * 4**more, MAX_SHOWN_LINES * 4**more)]
    lines = (escape(part.replace("\t", "    ")) for part in shown.split("\n"))
    return "\n".join(lines), len(text) - len(shown)


def _end(text, characters, lines):
    """How much of the text that many characters and lines are."""
    for at, character in enumerate(text):
        characters -= EMOJI_CHARACTERS if ord(character) > 0xFFFF else 1
        lines -= character == "\n"
        if characters < 0 or lines <= 0:
            return at
    return len(text)


def _calendar(millis):
    """The local date and time, or None: peers may name times that no calendar has."""
    try:
        at = time.localtime(millis / 1000)
    except (OverflowError, ValueError, OSError):
        return None
    return at if at.tm_year <= 9999 else None


def clock(millis):
    """`14:05`, here."""
    at = _calendar(millis)
    return time.strftime("%H:%M", at) if at else "--:--"


def day(millis, now_ms):
    """`Today`, `Yesterday`, `Tuesday, 24 November`, with the year where it is another one."""
    at, now = _calendar(millis), _calendar(now_ms)
    if at is None:
        return "At no known time"
    apart = _midnight(now) - _midnight(at)
    if apart in (0, 1):
        return ("Today", "Yesterday")[apart]
    return (
        time.strftime("%A, ", at) + f"{at.tm_mday} " + time.strftime("%B" if at.tm_year == now.tm_year else "%B %Y", at)
    )


def _midnight(at):
    """Days since some day: differences count, whatever summer time does."""
    return time_to_days(at.tm_year, at.tm_mon, at.tm_mday)


def time_to_days(year, month, mday):
    """Days of the Gregorian calendar, counted from a March: leap days then come last."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + mday


def when(millis, now_ms):
    """The short form for a list: the time today, else the day."""
    name = day(millis, now_ms)
    at = _calendar(millis)
    if name == "Today" or at is None:
        return clock(millis)
    return name if name == "Yesterday" else f"{at.tm_mday} " + time.strftime("%b", at)


MARKS = {
    "queued": "◷ waiting",
    "accepted": "✓",
    "delivered": "✓✓",
    "read": "✓✓ read",
    "not_received": "! not received",
    "failed": "✗ not sent",
    "cancelled": "✗ taken back",
}


def mark(message):
    """How far an own message has come, with the reason if that is not far."""
    state = message.get("state")
    if not message.get("outgoing") or state is None:
        return ""
    if message["chat"] == "self":
        return ""
    said = MARKS.get(state, line(state, 30))
    why = message.get("error")
    return f"{said}: {line(why.replace('_', ' '), 80)}" if why else said


def groups(digits, columns=4):
    """A safety number as people compare it: groups of five digits, four to a line."""
    fives = [digits[at : at + 5] for at in range(0, len(digits), 5)]
    return "\n".join("  ".join(fives[at : at + columns]) for at in range(0, len(fives), columns))


def fingerprint(text):
    """A fingerprint in groups of eight, on two lines."""
    eights = [text[at : at + 8] for at in range(0, len(text), 8)]
    return "\n".join(" ".join(eights[at : at + 4]) for at in range(0, len(eights), 4))


def many(count, noun):
    """`1 message`, `2 messages`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def sentence(text):
    """Words of the daemon, which begin lower case, as a sentence's beginning."""
    return text[:1].upper() + text[1:]


def connection(model, now_ms):
    """The state of things in one line, and its colour's name."""
    if model.link is not None:
        return f"chatd is not running ({line(model.link.why)}) · {_again(model.link.retry_ms, now_ms)}", "bad"
    state, named = model.connection.get("state"), _account(model)
    if state == "online":
        return f"Online{named}", "good"
    reason = model.connection.get("reason")
    why = f": {line(reason)}" if reason else ""
    if state == "offline":
        return f"Offline{named}{why} · {_again(model.connection.get('next_retry_ms'), now_ms)}", "bad"
    said = {
        "connecting": "Connecting",
        "auth_failed": "The server refuses this device",
        "kicked": "The server ended the connection",
    }
    return said.get(state, "No account yet") + (named if state in said else "") + why, "soso"


def _account(model):
    user, server = model.account.get("user"), model.account.get("server")
    return (f" as {line(user, 40)}" if user else "") + (f" at {line(server, 60)}" if server else "")


def _again(at_ms, now_ms):
    if not at_ms or at_ms <= now_ms:
        return "trying again"
    return f"trying again in {-(-(at_ms - now_ms) // 1000)} s"

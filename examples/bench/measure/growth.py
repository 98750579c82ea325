"""What grows, what is looked at, and whether it costs more than it should: the tables, the plots and the judgement of them."""

import math
from dataclasses import dataclass

from . import plot
from .plot import short

FLAT, LINEAR, WORSE = GRADES = ("flat", "linear", "worse than linear")
# How much more the largest size may cost than the cheapest one, and still be flat.
FLAT_WITHIN = 1.5
# How much steeper the upper half of a line may be than the lower one.
STEEPER = 2
# A slope that is less than this part of the cost is not told from noise.
NOISE = 0.1


@dataclass(frozen=True)
class Figure:
    """A cost; `should` is how it is to grow. What is counted for each of what grows is to be flat: all of it is then linear."""

    name: str
    title: str
    should: str = FLAT


@dataclass(frozen=True)
class Kind:
    by: str
    figures: tuple


KINDS = {
    "members": Kind("members of the room, W=64", (Figure("cpu_us", "server CPU a delivery, µs"),)),
    "connections": Kind(
        "connections",
        (Figure("connection_kib", "KiB a connection"), Figure("cpu_us", "server CPU a login, µs")),
    ),
    "waiting": Kind(
        "messages that wait in a mailbox",
        (
            Figure("cpu_us", "server CPU a message stored, µs"),
            Figure("collected_cpu_us", "server CPU a message fetched, µs"),
        ),
    ),
    "accounts": Kind(
        "accounts, all but 50 of them away",
        (
            Figure("cpu_us", "server CPU a message, µs"),
            Figure("room_cpu_us", "server CPU a delivery in a room of 50, µs"),
        ),
    ),
    "history": Kind(
        "messages in the history",
        (
            Figure("start_ms", "start of chatd, ms"),
            Figure("first_ms", "first search, ms", LINEAR),
            Figure("later_ms", "later searches, ms", LINEAR),
            Figure("cpu_us_sender", "CPU of a message at its sender, µs"),
            Figure("cpu_us_reader", "at its reader, µs"),
        ),
    ),
    "chats": Kind(
        "chats",
        (
            Figure("start_ms", "start of chatd, ms"),
            Figure("info_us", "daemon.info, µs"),
            Figure("list_us", "chat.list of 10, µs"),
            Figure("begun_cpu_us", "CPU of a chat begun, µs"),
            Figure("sent_cpu_us", "CPU of a message sent, µs"),
            Figure("cpu_us_reader", "CPU of a message read, µs"),
        ),
    ),
    "devices": Kind(
        "devices of the recipient",
        (
            Figure("cpu_us_sender", "CPU of a message at its sender, µs", LINEAR),
            Figure("cpu_us_server", "at the server, µs", LINEAR),
            Figure("cpu_us_reader", "at one of its readers, µs"),
        ),
    ),
    "events": Kind(
        "events that a consumer has not acknowledged",
        (
            Figure("start_ms", "start of chatd, ms"),
            Figure("pull_us", "events.pull of 100, µs"),
            Figure("metrics_us", "daemon.metrics, µs"),
            Figure("event_cpu_us", "CPU of an event, µs"),
            Figure("cpu_us_reader", "CPU of a message read, µs"),
        ),
    ),
}


def grade(points):
    """How a cost grows: `points` are (how many, cost), ascending; None if there are too few to say.

    Flat: the last is at most FLAT_WITHIN times the cheapest. Linear, or less: from the cheapest on, the upper half rises at
    most STEEPER times as fast as the lower one; where there are no halves, not faster than what grows.
    """
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return None
    points = points[min(range(len(points)), key=lambda at: points[at][1]) :]
    (few, cheapest), (many, dearest) = points[0], points[-1]
    if dearest <= FLAT_WITHIN * cheapest:
        return FLAT
    if len(points) == 2:
        return LINEAR if dearest / cheapest <= many / few else WORSE
    # half of the way as it is drawn, where each step multiplies
    middle, cost = min(points[1:-1], key=lambda point: abs(math.log(point[0] ** 2 / few / many)))
    lower = max(cost - cheapest, NOISE * cheapest) / (middle - few)
    upper = (dearest - cost) / (many - middle)
    return LINEAR if upper <= STEEPER * lower else WORSE


@dataclass(frozen=True)
class Judged:
    """A figure with what was measured: (how many, cost), ascending."""

    kind: str
    figure: Figure
    points: list

    @property
    def grade(self):
        return grade(self.points)

    @property
    def exceeds(self):
        """Whether it grows faster than it should."""
        return self.grade is not None and GRADES.index(self.grade) > GRADES.index(self.figure.should)

    @property
    def verdict(self):
        if self.exceeds:
            return f"**{self.grade}**, should be {self.figure.should}"
        return self.grade or "too little was measured"


def judge(results, kind):
    """Every figure of a kind; none if it was not measured."""
    sizes = {int(step.rsplit("/", 1)[1]): step for step in results.steps() if step.startswith(f"growth/{kind}/")}
    judged = []
    for figure in KINDS[kind].figures:
        costs = [(size, results.median(step, results.of(step)[0], figure.name)) for size, step in sorted(sizes.items())]
        judged.append(Judged(kind, figure, [(size, cost) for size, cost in costs if cost is not None]))
    return judged if sizes else []


def judge_all(results):
    return [judged for kind in KINDS for judged in judge(results, kind)]


def table(judged):
    """A row for each size, and how each figure grows."""
    sizes = sorted({size for each in judged for size, _ in each.points})
    costs = [dict(each.points) for each in judged]
    lines = [
        f"| {KINDS[judged[0].kind].by} | " + " | ".join(each.figure.title for each in judged) + " |",
        "|---:|" + "---:|" * len(judged),
    ]
    lines += [f"| {size:,} | " + " | ".join(short(of.get(size)) for of in costs) + " |" for size in sizes]
    return [*lines, "| grows | " + " | ".join(each.verdict for each in judged) + " |"]


def summary(judged):
    """A row for each figure: its ends, and how it grows."""
    lines = ["| by | cost | from | to | grows |", "|---|---|---:|---:|---|"]
    for each in judged:
        ends = [f"{short(cost)} at {size:,}" for size, cost in (each.points[:1] + each.points[-1:])] or ["–", "–"]
        lines.append(f"| {KINDS[each.kind].by} | {each.figure.title} | {' | '.join(ends)} | {each.verdict} |")
    return lines


def drawn(judged):
    by = KINDS[judged[0].kind].by
    return plot.lines(f"by {by}", by, [(each.figure.title, each.points) for each in judged])


def told(judged):
    """As report.json has it."""
    return [
        {"by": each.kind, "figure": each.figure.name, "should": each.figure.should, "grows": each.grade}
        for each in judged
    ]

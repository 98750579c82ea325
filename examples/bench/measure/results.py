"""What was measured: rows of figures, several of each where a run has repetitions."""

import statistics


class Results:
    """Rows of a step (`room/100/1`), whose figures they are (`ours`, a peer), and the figures by name."""

    def __init__(self, rows=()):
        self.rows = list(rows)
        self.notes = []
        self.broken = []

    def add(self, step, whose, figures):
        self.rows.append({"step": step, "whose": whose, **figures})

    def note(self, text):
        """What a reader has to know, and fails nothing."""
        if text not in self.notes:
            self.notes.append(text)

    def fail(self, text):
        """What must not be: a run ends with an error."""
        self.broken.append(text)

    def values(self, step, whose, figure):
        found = (row.get(figure) for row in self.rows if row["step"] == step and row["whose"] == whose)
        return [value for value in found if value is not None]

    def median(self, step, whose, figure):
        """The median, or None if it was not measured."""
        values = self.values(step, whose, figure)
        return statistics.median(values) if values else None

    def steps(self):
        """Every step, in the order they were first run."""
        return list(dict.fromkeys(row["step"] for row in self.rows))

    def of(self, step):
        """Whose figures a step has, in order."""
        return list(dict.fromkeys(row["whose"] for row in self.rows if row["step"] == step))


def judge_load(results, step, whose, figures):
    """A workload that delivers nothing, loses messages or connections: an error of ours, a note about a peer."""
    wrong = [f"{figures[name]:.0f} {name}" for name in ("lost", "refused", "ended") if figures.get(name)]
    # while it was measured, or, where that is known, ever: a small load is over before a busy machine gets to it
    if not figures.get("arrived", figures.get("count")):
        wrong.append("nothing arrived")
    if wrong:
        (results.fail if whose.startswith("ours") else results.note)(f"{step}, {whose}: {', '.join(wrong)}")

"""What is to be reached, from targets.json, and whether it was.

A row there:

    name, unit   what is printed
    figure       [step, whose, figure] of ours
    better       "lower" or "higher"
    beside       such triples in the same run: the best of them is what ours is divided by
    was          or a figure of 29 November 2026, on a machine of two cores where a sync took 215 µs: compare it with care;
                 that of another build, if one is measured in turn, is taken instead
    must, goal   the ratio that has to be, and that is to be, reached; either may be missing
"""

import json
import os
from dataclasses import dataclass
from typing import Optional

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "targets.json")


def load(path=PATH):
    with open(path) as file:
        return json.load(file)


@dataclass(frozen=True)
class Judged:
    """A row of targets with what was measured; `beside` is what ours was divided by."""

    name: str
    unit: str
    better: str
    ours: Optional[float]
    values: tuple
    beside: Optional[float]
    beside_whose: str
    must: Optional[float]
    goal: Optional[float]

    @property
    def ratio(self):
        return self.ours / self.beside if self.ours is not None and self.beside else None

    def reached(self, target):
        """True, False, or None where nothing is to be reached or was measured."""
        if target is None or self.ratio is None:
            return None
        return self.ratio <= target if self.better == "lower" else self.ratio >= target

    @property
    def verdict(self):
        """In words: the goal includes the must."""
        if self.ratio is None:
            return "not measured"
        if self.reached(self.goal):
            return "goal met"
        if self.reached(self.must):
            return "must met"
        if self.must is None:
            return "shown" if self.goal is None else "goal missed"
        return "missed"


def judge(row, results):
    """Holds one row of targets against the medians of a run."""
    step, whose, figure = row["figure"]
    before = results.median(step, "before", figure)
    beside, beside_whose = (before, "before") if before else (row.get("was"), "29 November")
    if "beside" in row:
        found = [(results.median(*triple), triple[1]) for triple in row["beside"]]
        found = [(value, of) for value, of in found if value]
        best = (min if row["better"] == "lower" else max)(found, default=(None, "nobody"))
        beside, beside_whose = best
    return Judged(
        row["name"],
        row["unit"],
        row["better"],
        results.median(step, whose, figure),
        tuple(results.values(step, whose, figure)),
        beside,
        beside_whose,
        row.get("must"),
        row.get("goal"),
    )


def judge_all(results, rows=None):
    return [judge(row, results) for row in (load() if rows is None else rows)]

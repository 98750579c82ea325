"""The report: report.md, report.json and plots, from results."""

import json
import os
import statistics

from . import growth, plot
from .plot import short
from .targets import judge_all

TITLES = {
    "ours": "chat-server (SQLite)",
    "ours-mariadb": "chat-server (MariaDB)",
    "before": "chat-server before",
    "nats": "nats TLS",
    "jetstream": "nats JetStream TLS",
    "ngircd": "ngircd TLS",
    "mosquitto": "mosquitto QoS 1 TLS",
}
# What is shown of a step, in this order; all else is in report.json.
SHOWN = (
    ("cpu_us", "CPU each, µs"),
    ("per_second", "a second"),
    ("p50_us", "p50, µs"),
    ("p99_us", "p99, µs"),
    ("connection_kib", "KiB a connection"),
    ("idle_share", "idle share of a core"),
    ("collected_cpu_us", "CPU each when fetched, µs"),
    ("start_ms", "start, ms"),
    ("fresh_ms", "start, new directory, ms"),
    ("anon_kib", "own memory, KiB"),
    ("pss_kib", "Pss, KiB"),
    ("cpu_us_sender", "CPU at the sender, µs"),
    ("cpu_us_reader", "CPU at the reader, µs"),
    ("cpu_us_server", "CPU at the server, µs"),
    ("commits", "commits each"),
    ("commits_sender", "commits each at the sender"),
    ("commits_reader", "commits each at the reader"),
    ("first_ms", "first search, ms"),
    ("later_ms", "later searches, ms"),
    ("growth_mib", "growth, MiB"),
)
# Steps that are drawn: the figure, and what is printed above.
DRAWN = {"cpu_us": "CPU each, µs: ", "p50_us": "p50, µs: "}
BOUND = 0.9  # of a core


def ranged(values):
    """The median, and from where to where."""
    if not values:
        return "–"
    middle = statistics.median(values)
    return (
        short(middle) if min(values) == max(values) else f"{short(middle)} ({short(min(values))}–{short(max(values))})"
    )


def wanted(judged, target):
    if target is None:
        return "–"
    return f"{'≤' if judged.better == 'lower' else '≥'} {short(target)} ×"


def targets_table(judged, final):
    """What is to be reached beside what was; only a `final` run, in full size, says whether that is enough."""
    lines = [
        "| figure | ours | unit | beside | | ratio | must | goal | |",
        "|---|---:|---|---:|---|---:|---:|---:|---|",
    ]
    for row in judged:
        beside = f"{short(row.beside)} | {TITLES.get(row.beside_whose, row.beside_whose)}"
        lines.append(
            f"| {row.name} | {ranged(row.values)} | {row.unit} | {beside} | "
            f"{short(row.ratio)} | {wanted(row, row.must)} | {wanted(row, row.goal)} | {row.verdict if final else '–'} |"
        )
    return lines


def step_table(results, step):
    """One step: a row for each who took part. A rate that the generator bound is marked."""
    whose = results.of(step)
    shown = [(name, title) for name, title in SHOWN if any(results.values(step, of, name) for of in whose)]
    lines = ["| | " + " | ".join(title for _, title in shown) + " |", "|---|" + "---:|" * len(shown)]
    for of in whose:
        cells = []
        for name, _ in shown:
            mark = " ᵍ" if name == "per_second" and generator_bound(results, step, of) else ""
            cells.append(ranged(results.values(step, of, name)) + mark)
        lines.append(f"| {TITLES.get(of, of)} | " + " | ".join(cells) + " |")
    return lines


def generator_bound(results, step, whose):
    generator, server = results.median(step, whose, "generator_share"), results.median(step, whose, "server_share")
    return generator is not None and server is not None and generator > BOUND > server


def plots(results, judged, final):
    """File names and SVGs."""
    drawn = {}
    met = [
        (row.name, row.ratio / row.must if row.better == "lower" else row.must / row.ratio)
        for row in judged
        if row.ratio and row.must
    ]
    if met and final:
        drawn["targets"] = plot.bars(
            "ours beside what must be reached (the line; shorter is better)",
            [(name, value, value <= 1) for name, value in met],
            mark=1,
            longest=4,
        )
    for step in results.steps():
        for figure, title in DRAWN.items():
            found = [
                (TITLES.get(of, of), results.median(step, of, figure), of.startswith("ours")) for of in results.of(step)
            ]
            found = [bar for bar in found if bar[1] is not None]
            if len(found) > 1 and not step.startswith("growth/"):
                drawn[f"{step.replace('/', '-')}-{figure}"] = plot.bars(title + step, found)
    for kind in growth.KINDS:
        if of := growth.judge(results, kind):
            drawn[f"growth-{kind}"] = growth.drawn(of)
    return drawn


def markdown(results, machine, judged, drawn, final):
    lines = [
        "# Benchmarks",
        "",
        "Medians, and the lowest and the highest of the repetitions. Ratio: ours divided by what is beside it.",
        "CPU is the server's, or the daemon's. W: messages under way at once. ᵍ: the generator's core was full and the server's "
        "was not; take the CPU instead of the rate.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += [f"- **note**: {note}" for note in results.notes]
    lines += [f"- **FAILED**: {failure}" for failure in results.broken]
    lines += ["", "## What is to be reached", "", *targets_table(judged, final), ""]
    if "targets" in drawn:
        lines += ["![ours beside the targets](targets.svg)", ""]
    lines += ["## Step by step", ""]
    for step in (step for step in results.steps() if not step.startswith("growth/")):
        lines += [f"### {step}", "", *step_table(results, step), ""]
        lines += [
            f"![{step}]({name}.svg)"
            for name in drawn
            if name in (f"{step.replace('/', '-')}-{figure}" for figure in DRAWN)
        ]
        lines.append("")
    grown = growth.judge_all(results)
    if grown:
        lines += ["## What grows", "", *growth.summary(grown), ""]
    for kind in growth.KINDS:
        if of := growth.judge(results, kind):
            lines += [f"### By {growth.KINDS[kind].by}", "", *growth.table(of), "", f"![growth](growth-{kind}.svg)", ""]
    return "\n".join(lines)


def write(results, machine, directory, final=True):
    """Writes everything into a directory; the path of report.md. A run that was smaller than the targets mean is not `final`."""
    judged = judge_all(results)
    drawn = plots(results, judged, final)
    for name, text in drawn.items():
        with open(os.path.join(directory, f"{name}.svg"), "w") as file:
            file.write(text)
    verdicts = [
        {
            "name": row.name,
            "unit": row.unit,
            "ours": row.ours,
            "beside": row.beside,
            "beside_whose": row.beside_whose,
            "ratio": row.ratio,
            "must": row.must,
            "goal": row.goal,
            "verdict": row.verdict if final else None,
        }
        for row in judged
    ]
    with open(os.path.join(directory, "report.json"), "w") as file:
        json.dump(
            {
                "machine": machine,
                "notes": results.notes,
                "failed": results.broken,
                "targets": verdicts,
                "growth": growth.told(growth.judge_all(results)),
                "rows": results.rows,
            },
            file,
            indent=1,
        )
    path = os.path.join(directory, "report.md")
    with open(path, "w") as file:
        file.write(markdown(results, machine, judged, drawn, final))
    return path

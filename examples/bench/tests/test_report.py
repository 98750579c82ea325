"""What is measured becomes the report that it should."""

import json
import os
import sys
import tempfile
import unittest
from xml.etree import ElementTree

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from measure import inserts, plot, processes, report, targets  # noqa: E402
from measure.line import quantile  # noqa: E402
from measure.results import Results, judge_load  # noqa: E402

LOWER = {
    "name": "CPU",
    "unit": "µs",
    "figure": ["room", "ours", "cpu_us"],
    "better": "lower",
    "must": 2,
    "goal": 1,
    "beside": [["room", "nats", "cpu_us"], ["room", "ngircd", "cpu_us"], ["room", "absent", "cpu_us"]],
}


def measured(ours, **peers):
    results = Results()
    for value in ours:
        results.add("room", "ours", {"cpu_us": value})
    for name, value in peers.items():
        results.add("room", name, {"cpu_us": value})
    return results


class Judging(unittest.TestCase):
    def verdict(self, row, results):
        return targets.judge(row, results).verdict

    def test_ours_is_the_median_beside_the_best_peer(self):
        judged = targets.judge(LOWER, measured([3, 100, 5], nats=10, ngircd=4))
        self.assertEqual((judged.ours, judged.beside, judged.beside_whose, judged.ratio), (5, 4, "ngircd", 1.25))

    def test_less_is_held_against_must_and_goal(self):
        for ours, verdict in ((4, "goal met"), (4.1, "must met"), (8, "must met"), (8.1, "missed")):
            self.assertEqual(self.verdict(LOWER, measured([ours], ngircd=4)), verdict, ours)

    def test_more_is_held_against_must_and_goal(self):
        row = {**LOWER, "better": "higher", "must": 2, "goal": 3}
        for ours, verdict in ((12, "goal met"), (8, "must met"), (7.9, "missed")):
            self.assertEqual(self.verdict(row, measured([ours], ngircd=4)), verdict, ours)

    def test_the_best_peer_has_the_most_where_more_is_better(self):
        judged = targets.judge({**LOWER, "better": "higher"}, measured([5], nats=10, ngircd=4))
        self.assertEqual(judged.beside_whose, "nats")

    def test_an_earlier_figure_stands_in_for_a_peer(self):
        row = {**LOWER, "beside": None, "was": 10}
        del row["beside"]
        self.assertEqual(targets.judge(row, measured([5])).ratio, 0.5)

    def test_another_build_in_the_same_run_goes_before_an_earlier_figure(self):
        row = {name: value for name, value in LOWER.items() if name != "beside"}
        judged = targets.judge({**row, "was": 10}, measured([5], before=4))
        self.assertEqual((judged.ratio, judged.beside_whose), (1.25, "before"))

    def test_what_was_not_measured_is_not_met(self):
        self.assertEqual(self.verdict(LOWER, measured([5])), "not measured")
        self.assertEqual(self.verdict(LOWER, measured([], ngircd=4)), "not measured")

    def test_a_goal_without_a_must_can_be_missed(self):
        row = {name: value for name, value in LOWER.items() if name != "must"}
        self.assertEqual(self.verdict(row, measured([5], ngircd=4)), "goal missed")
        self.assertEqual(self.verdict({**row, "goal": None}, measured([5], ngircd=4)), "shown")

    def test_every_target_of_the_file_is_whole(self):
        rows = targets.load()
        self.assertEqual(len({row["name"] for row in rows}), len(rows))
        for row in rows:
            self.assertEqual(len(row["figure"]), 3, row)
            self.assertIn(row["better"], ("lower", "higher"), row)
            self.assertNotEqual("beside" in row, "was" in row, row)
            must, goal = row.get("must"), row.get("goal")
            if must and goal:
                self.assertLess(*((goal, must) if row["better"] == "lower" else (must, goal)), row)


class Loads(unittest.TestCase):
    def test_a_workload_of_ours_that_loses_or_delivers_nothing_fails_the_run(self):
        for figures in (
            {"count": 10, "lost": 1},
            {"count": 0},
            {},
            {"count": 10, "refused": 2},
            {"count": 10, "ended": 1},
            {"count": 10, "arrived": 0},
        ):
            results = Results()
            judge_load(results, "room", "ours", figures)
            self.assertEqual((len(results.broken), results.notes), (1, []), figures)

    def test_one_of_a_peer_is_a_note(self):
        results = Results()
        judge_load(results, "room", "nats", {"count": 0})
        self.assertEqual((results.broken, len(results.notes)), ([], 1))

    def test_a_clean_one_is_neither(self):
        results = Results()
        judge_load(results, "room", "ours", {"count": 10, "lost": 0, "ended": 0})
        judge_load(results, "room", "ours", {"count": 0, "arrived": 10})
        self.assertEqual((results.broken, results.notes), ([], []))


class Writing(unittest.TestCase):
    def test_medians_have_their_range(self):
        self.assertEqual(report.ranged([3, 1, 2]), "2 (1–3)")
        self.assertEqual(report.ranged([1, 2]), "1.5 (1–2)")
        self.assertEqual(report.ranged([12345.6]), "12,346")
        self.assertEqual(report.ranged([]), "–")

    def test_a_rate_that_the_generator_bound_is_marked(self):
        results = Results()
        results.add("room", "ours", {"per_second": 10, "generator_share": 0.99, "server_share": 0.5})
        results.add("room", "nats", {"per_second": 20, "generator_share": 0.99, "server_share": 0.99})
        table = "\n".join(report.step_table(results, "room"))
        self.assertIn("| 10 ᵍ |", table)
        self.assertIn("| 20 |", table)

    def test_the_report_says_what_was_reached_and_what_went_wrong(self):
        results = Results()
        for members, cpu in ((10, 1.0), (100, 2.0)):
            results.add(f"growth/members/{members}", "ours", {"cpu_us": cpu})
        for whose, cpu in (("ours", 6), ("ngircd", 4)):
            results.add("room/100/1", whose, {"cpu_us": cpu, "count": 1})
        results.note("nats-server is not installed")
        results.fail("pairs: 3 lost")
        with tempfile.TemporaryDirectory() as directory:
            with open(report.write(results, {"machine": "one"}, directory)) as file:
                text = file.read()
            told = ("goal", "must met", "1.5", "nats-server is not installed", "pairs: 3 lost", "| 100 | 2 |", "| grows |")
            for words in told:
                self.assertIn(words, text)
            with open(os.path.join(directory, "report.json")) as file:
                verdicts = {row["name"]: row["verdict"] for row in json.load(file)["targets"]}
            self.assertEqual(verdicts["room of 100, W=1: server CPU a delivery"], "must met")
            for name in [name for name in os.listdir(directory) if name.endswith(".svg")]:
                ElementTree.parse(os.path.join(directory, name))
            for name in ("targets", "room-100-1-cpu_us", "growth-members"):
                self.assertIn(f"{name}.svg", os.listdir(directory))
                self.assertIn(f"({name}.svg)", text)

    def test_a_smaller_run_judges_nothing(self):
        results = measured([])
        results.add("room/100/1", "ours", {"cpu_us": 6})
        results.add("room/100/1", "ngircd", {"cpu_us": 4})
        with tempfile.TemporaryDirectory() as directory:
            with open(report.write(results, {"machine": "one"}, directory, final=False)) as file:
                self.assertNotRegex(file.read(), "(must|goal) met|missed")
            self.assertNotIn("targets.svg", os.listdir(directory))


class Drawing(unittest.TestCase):
    def test_bars_are_as_long_as_their_values(self):
        drawn = ElementTree.fromstring(plot.bars("CPU", [("ours & co", 50, True), ("nats", 100, False)]))
        widths = [float(bar.get("width")) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")][1:]
        self.assertAlmostEqual(widths[1], 2 * widths[0], delta=0.2)

    def test_lines_of_nothing_and_of_one_point_are_drawn(self):
        for points in ([], [(10, 1)], [(10, 0)]):
            ElementTree.fromstring(plot.lines("growth", "members", [("CPU", points)]))


class Measuring(unittest.TestCase):
    def test_server_and_generator_are_apart_only_where_it_is_measured(self):
        server, generator = processes.cpus()
        self.assertEqual((len(server), len(generator)), (1, 1))
        self.assertEqual(*processes.cpus(apart=False))
        self.assertEqual(processes.pinning(([0], [1])), "server on CPU 0, generator on CPU 1")
        self.assertTrue(processes.pinning(([0], [0])).endswith("the same"))

    def test_quantiles_are_those_of_the_values(self):
        self.assertEqual((quantile(range(100), 0.5), quantile(range(100), 0.99), quantile([7], 0.99)), (50, 99, 7))

    def test_a_plain_client_inserts_what_it_says(self):
        mail, submitted = inserts.rows(100, 100)
        self.assertEqual((len(mail), len(submitted)), (100, 100))
        self.assertEqual(len({row[:2] for row in mail} | {row[:2] for row in inserts.rows(0, 100)[0]}), 200)
        self.assertEqual(sum(line == "COMMIT;" for line in inserts.statements(300)), 3)


if __name__ == "__main__":
    unittest.main()

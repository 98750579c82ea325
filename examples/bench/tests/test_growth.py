"""Whether a cost that grows is called what it is."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from measure import growth  # noqa: E402
from measure.results import Results  # noqa: E402
from measure.scale import SCALES  # noqa: E402

SIZES = (10, 100, 1000, 10_000)


def grade(cost, sizes=SIZES):
    return growth.grade([(size, cost(size)) for size in sizes])


class Grading(unittest.TestCase):
    def test_what_does_not_grow_is_flat_with_all_its_noise(self):
        self.assertEqual(grade(lambda size: 5), growth.FLAT)
        self.assertEqual(growth.grade([(10, 5), (100, 7), (1000, 4), (10_000, 5.9)]), growth.FLAT)

    def test_what_gets_cheaper_is_flat(self):
        self.assertEqual(grade(lambda size: 100 / size), growth.FLAT)

    def test_what_gets_cheaper_first_is_judged_from_the_cheapest_on(self):
        self.assertEqual(growth.grade([(10, 90), (100, 10), (1000, 20), (10_000, 100)]), growth.LINEAR)
        self.assertEqual(growth.grade([(10, 90), (100, 10), (1000, 12), (10_000, 400)]), growth.WORSE)

    def test_a_line_is_one_whatever_it_begins_with(self):
        for base in (0, 1, 1000):
            self.assertEqual(grade(lambda size, base=base: base + size), growth.LINEAR, base)

    def test_less_than_a_line_is_no_worse(self):
        self.assertEqual(grade(lambda size: size**0.5), growth.LINEAR)

    def test_more_than_a_line_is_worse(self):
        for power in (1.5, 2, 3):
            self.assertEqual(grade(lambda size, power=power: 5 + size**power), growth.WORSE, power)
        self.assertEqual(grade(lambda size: size**2, (1, 2, 4, 8, 16)), growth.WORSE)

    def test_two_sizes_are_held_against_each_other(self):
        self.assertEqual(growth.grade([(1, 5), (2, 10)]), growth.LINEAR)
        self.assertEqual(growth.grade([(1, 5), (2, 11)]), growth.WORSE)

    def test_one_size_says_nothing(self):
        self.assertIsNone(growth.grade([(1, 5)]))
        self.assertIsNone(growth.grade([]))


class Judging(unittest.TestCase):
    def test_what_should_be_flat_and_is_not_is_marked(self):
        results = Results()
        for size in SIZES:
            results.add(f"growth/history/{size}", "chatd", {"start_ms": size, "first_ms": size})
        start, first = growth.judge(results, "history")[:2]
        self.assertEqual((start.exceeds, start.verdict), (True, "**linear**, should be flat"))
        self.assertEqual((first.exceeds, first.verdict), (False, "linear"))

    def test_every_growth_that_is_measured_is_judged_and_the_other_way_round(self):
        for scale in SCALES.values():
            self.assertEqual(set(scale.growth), set(growth.KINDS), scale.name)
            for kind, sizes in scale.growth.items():
                self.assertEqual(sorted(set(sizes)), list(sizes), kind)


if __name__ == "__main__":
    unittest.main()

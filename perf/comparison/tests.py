"""Tests of what perf/compare makes of what it measures, without measuring anything.

usage: python3 perf/comparison/tests.py
"""

import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import Failed, Stage, progress  # noqa: E402
from comparison import figures, markdown, plots, promises, readme, rounds, svg  # noqa: E402
from comparison.scenarios.base import Plan, Scenario  # noqa: E402

RATE = figures.Figure("rate", "GB/s", 2, "more")
CPU = figures.Figure("client CPU", "s/GB", 3, "less")


def streams(values):
    """Results of the scenario `streams`, up, 1 flow: {target: {figure: values}}."""
    scenario = figures.Scenario("streams", "Bulk", "ssh", [RATE, CPU])
    for target, of in values.items():
        cell = scenario.cell("up, 1 flow", target)
        for name, each in of.items():
            for value in each:
                cell.add({name: value})
    return scenario


def growth():
    """Results of scaling: ssh over three numbers of flows."""
    scenario = figures.Scenario("scaling-flows", "Scaling", "ssh", [RATE])
    for count, value in ((1, 0.5), (10, 1), (100, 20)):
        scenario.cell(f"{count} flows", "ssh").add({"rate": value})
    return scenario


def results(scenario, date="2026-01-02", kind=figures.KIND_OF_COMPARISON):
    about = {
        "date": date, "command": "perf/compare --quick", "rounds": 3, "versions": {"OpenSSH": "9.2p1"},
        "machine": {"cores": 2, "processor": "A & B", "memory GiB": 4, "kernel": "6.1", "congestion control": "cubic",
                    "load before": 0.1}}
    return figures.Results(kind, about, [scenario], promises.judged([scenario]))


GOOD = {"culvert": {"rate": [2, 3, 4], "client CPU": [0.1, 0.2, 0.3]}, "ssh": {"rate": [1, 2, 1], "client CPU": [1, 1, 1]}}


class Promises(unittest.TestCase):
    def verdicts(self, values):
        return {row["name"]: row["verdict"] for row in promises.judged([streams(values)])}

    def test_hold_and_fail(self):
        cpu = "streams, up, 1 flow: client CPU, culvert to ssh"
        rate = "streams, up, 1 flow: rate, culvert to ssh"
        self.assertEqual(self.verdicts(GOOD), {cpu: promises.HOLDS, rate: promises.HOLDS})
        swapped = {"culvert": GOOD["ssh"], "ssh": GOOD["culvert"]}
        self.assertEqual(self.verdicts(swapped), {cpu: promises.FAILS, rate: promises.FAILS})

    def test_what_is_missing_fails(self):
        values = {"culvert": {"rate": [2, 2, 2]}, "ssh": GOOD["ssh"]}
        self.assertEqual(self.verdicts(values)["streams, up, 1 flow: client CPU, culvert to ssh"], promises.FAILS)

    def test_two_rounds_prove_nothing(self):
        values = {name: {figure: each[:2] for figure, each in of.items()} for name, of in GOOD.items()}
        self.assertEqual(set(self.verdicts(values).values()), {promises.NOT_JUDGED})

    def test_every_promise_is_of_a_case_that_exists(self):
        for promise in promises.PROMISES:
            scenario = rounds.SCENARIOS[promise.scenario]
            self.assertIn(promise.case, scenario.cases(Plan(1, 0, False)), promise.name)
            self.assertIn(promise.figure, [figure.name for figure in scenario.figures], promise.name)
            self.assertLessEqual(set(promise.targets), set(scenario.targets), promise.name)


class Tables(unittest.TestCase):
    def test_cell(self):
        scenario = streams(GOOD)
        self.assertEqual(markdown.cell_text(scenario, "up, 1 flow", "culvert", RATE), "3.00 ×3.00 (2.00–4.00)")
        self.assertEqual(markdown.cell_text(scenario, "up, 1 flow", "ssh", RATE, spread=False), "1.00")
        self.assertEqual(markdown.cell_text(scenario, "up, 1 flow", "direct", RATE), "–")
        scenario.cell("up, 1 flow", "direct").failed.append("refused")
        self.assertEqual(markdown.cell_text(scenario, "up, 1 flow", "direct", RATE), "failed")
        self.assertIn("FAILED: direct, up, 1 flow: refused", markdown.scenario_text(scenario))

    def test_digits(self):
        self.assertEqual(markdown.number(12345.6, figures.Figure("", "", 0, "")), "12 346")
        self.assertEqual(markdown.number(0.0123, RATE), "0.012")
        self.assertEqual(markdown.number(0, RATE), "0.00")

    def test_every_column_of_the_readme_exists(self):
        for _, columns in readme.TABLES:
            for heading, scenario, case, figure in columns:
                known = rounds.SCENARIOS[scenario]
                self.assertIn(case, known.cases(Plan(1, 0, False)), heading)
                self.assertIn(figure, [each.name for each in known.figures], heading)


class Files(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def test_written_and_read(self):
        before = results(streams(GOOD))
        before.write(self.path("a.json"))
        after = figures.Results.read(self.path("a.json"))
        self.assertEqual(markdown.whole(after), markdown.whole(before))
        self.assertEqual(after.checks, before.checks)

    def test_readme(self):
        document = self.path("README.md")

        def put(text):
            with open(document, "w", encoding="utf-8") as file:
                file.write(text)

        put(f"before\n\n{readme.BEGIN}\nold\n{readme.END}\n\nafter\n")
        with self.assertRaisesRegex(Failed, "does not show that there are no results"):
            readme.update(document, self.directory.name, check=True)
        readme.update(document, self.directory.name)
        readme.update(document, self.directory.name, check=True)
        results(streams(GOOD)).write(self.path("2026-01-02-a.json"))
        with self.assertRaisesRegex(Failed, "does not show"):
            readme.update(document, self.directory.name, check=True)
        readme.update(document, self.directory.name)
        readme.update(document, self.directory.name, check=True)
        with open(document, encoding="utf-8") as file:
            text = file.read()
        self.assertTrue(text.startswith("before\n\n") and text.endswith("\n\nafter\n") and "3.00 ×3.00" in text, text)
        put(text.replace("3.00", "9.00"))
        with self.assertRaisesRegex(Failed, "does not show"):
            readme.update(document, self.directory.name, check=True)
        readme.update(document, self.directory.name)
        results(streams({"ssh": GOOD["ssh"]}), "2026-01-03").write(self.path("2026-01-03-a.json"))
        with self.assertRaisesRegex(Failed, "does not show 2026-01-03-a.json"):
            readme.update(document, self.directory.name, check=True)
        put("no marks\n")
        with self.assertRaisesRegex(Failed, "marks"):
            readme.update(document, self.directory.name)

    def test_readme_shows_growth(self):
        document = self.path("README.md")
        with open(document, "w", encoding="utf-8") as file:
            file.write(f"{readme.BEGIN}\n{readme.END}\n")
        results(growth(), kind=figures.KIND_OF_SCALING).write(self.path("a-scaling.json"))
        readme.update(document, self.directory.name)
        with open(document, encoding="utf-8") as file:
            self.assertIn("![Scaling](a-scaling/scaling-flows-1.svg)", file.read())
        readme.update(document, self.directory.name, check=True)
        with open(self.path("a-scaling/scaling-flows-1.svg"), "a", encoding="utf-8") as file:
            file.write("<!-- by hand -->")
        with self.assertRaisesRegex(Failed, "scaling-flows-1.svg does not show"):
            readme.update(document, self.directory.name, check=True)

    def test_plots_are_xml(self):
        import xml.dom.minidom

        for name, (_, picture) in plots.drawn(results(streams(GOOD))).items():
            document = xml.dom.minidom.parseString(picture)
            self.assertGreater(len(document.getElementsByTagName("rect")), 2, name)
        picture = xml.dom.minidom.parseString(plots.curve(growth(), RATE))
        self.assertEqual(len(picture.getElementsByTagName("circle")), 3)

    def test_axis(self):
        axis = svg.Axis([1, 1000], 0, 300)
        self.assertEqual([round(axis.at(value)) for value in (1, 10, 1000)], [0, 100, 300])
        self.assertEqual(axis.ticks(), [1, 10, 100, 1000])


class Probe(Scenario):
    """Counts instead of measuring; `bad` fails at its second case and takes a fresh start for the third."""

    figures = (RATE,)
    backs = ()

    def __init__(self):
        super().__init__("probe", "plain", "Probe")
        self.targets, self.log, self.opened = ["good", "bad"], [], []

    def chosen(self, plan):
        return self.targets

    def cases(self, plan):
        return ["a", "b", "c"]

    def open(self, stage, servers, name):
        self.opened.append(name)
        running = mock.Mock()
        running.name = name
        return running

    def measure(self, plan, running, case, servers):
        self.log.append(running.name + case)
        if running.name == "bad" and case == "b":
            raise Failed(f"{servers.stage.directory}/log: broken\nmore")
        return {"rate": 1}


class Runs(unittest.TestCase):
    def test_a_failure_is_noted_and_the_rest_goes_on(self):
        probe, stage = Probe(), Stage()
        self.addCleanup(stage.close)
        with mock.patch.dict(rounds.SCENARIOS, probe=probe), mock.patch.object(rounds, "progress"):
            run = rounds.Rounds(stage, Plan(1, 0, True), ["probe"])
            for number in range(2):
                run.run(number, 2)
        good, bad = ["gooda", "goodb", "goodc"], ["bada", "badb", "badc"]
        self.assertEqual(probe.log, good + bad + bad + good)
        self.assertEqual(probe.opened, ["good", "bad", "bad", "bad", "bad", "good"])
        found = run.results()[0]
        self.assertEqual(found.failures(), [("b", "bad", "log: broken more", 2)])
        self.assertEqual(found.median("c", "bad", "rate"), 1)

    def test_the_order_changes(self):
        names = ["a", "b", "c"]
        orders = {tuple(rounds.order(names, number)) for number in range(6)}
        self.assertGreater(len(orders), 3)
        self.assertEqual({tuple(sorted(order)) for order in orders}, {("a", "b", "c")})
        self.assertEqual({order[0] for order in orders}, set(names))


if __name__ == "__main__":
    progress("")
    unittest.main()

"""Results: what was measured of which target in which case, in every round; and the file that holds them."""

import dataclasses
import json
import statistics

KIND_OF_COMPARISON, KIND_OF_SCALING, KIND_OF_RECOVERY = "comparison", "scaling", "recovery"
# Digits of a value that mean anything.
SIGNIFICANT = 5


@dataclasses.dataclass(frozen=True)
class Figure:
    """A kind of value. `better` is "more" or "less"."""

    name: str
    unit: str
    digits: int
    better: str


@dataclasses.dataclass
class Cell:
    """What the rounds found for one target in one case: values by figure's name, and what went wrong."""

    values: dict = dataclasses.field(default_factory=dict)
    failed: list = dataclasses.field(default_factory=list)

    def add(self, values):
        for name, value in values.items():
            self.values.setdefault(name, []).append(float(f"{value:.{SIGNIFICANT}g}"))

    def median(self, figure):
        """None where no round succeeded."""
        values = self.values.get(figure)
        return statistics.median(values) if values else None

    def spread(self, figure):
        """The least and the most."""
        values = self.values[figure]
        return min(values), max(values)


class Scenario:
    """The results of one scenario: cells by case and target, both in the order in which they are shown."""

    def __init__(self, name, title, baseline, figures, cases=(), targets=(), notes=()):
        self.name, self.title, self.baseline, self.figures = name, title, baseline, list(figures)
        self.cases, self.targets, self.notes = list(cases), list(targets), list(notes)
        self.cells = {}

    def cell(self, case, target):
        """The cell, made when it is not there yet."""
        for known, name in ((self.cases, case), (self.targets, target)):
            if name not in known:
                known.append(name)
        return self.cells.setdefault((case, target), Cell())

    def median(self, case, target, figure):
        cell = self.cells.get((case, target))
        return cell.median(figure) if cell else None

    def ratio(self, case, target, figure, other):
        """Of a target's median to another's; None where either is not there."""
        own, its = self.median(case, target, figure), self.median(case, other, figure)
        return own / its if own is not None and its else None

    def failures(self):
        """(case, target, words, count), one for each kind of failure."""
        return [(case, target, words, cell.failed.count(words))
                for (case, target), cell in self.cells.items() for words in dict.fromkeys(cell.failed)]

    def encoded(self):
        return {
            "name": self.name, "title": self.title, "baseline": self.baseline, "notes": self.notes,
            "figures": [dataclasses.asdict(figure) for figure in self.figures],
            "cases": self.cases, "targets": self.targets,
            "cells": [{"case": case, "target": target, **dataclasses.asdict(cell)}
                      for (case, target), cell in self.cells.items()],
        }

    @classmethod
    def decoded(cls, found):
        scenario = cls(
            found["name"], found["title"], found["baseline"], [Figure(**figure) for figure in found["figures"]],
            found["cases"], found["targets"], found["notes"])
        for cell in found["cells"]:
            scenario.cells[cell["case"], cell["target"]] = Cell(cell["values"], cell["failed"])
        return scenario


@dataclasses.dataclass
class Results:
    """One run. `about` says where, when and with what: the machine's class, versions, the command; no name of a host, no
    path. `checks` are rows of promises.py, as dictionaries."""

    kind: str
    about: dict
    scenarios: list
    checks: list = dataclasses.field(default_factory=list)

    def scenario(self, name):
        return next((scenario for scenario in self.scenarios if scenario.name == name), None)

    def write(self, path):
        value = {"kind": self.kind, "about": self.about, "scenarios": [each.encoded() for each in self.scenarios],
                 "checks": self.checks}
        with open(path, "w", encoding="utf-8") as file:
            # A line for each cell: short enough to read, long enough for a small difference to be a small difference.
            file.write(lines(value) + "\n")

    @classmethod
    def read(cls, path):
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return cls(found["kind"], found["about"], [Scenario.decoded(each) for each in found["scenarios"]], found["checks"])


def lines(value, indent=""):
    """JSON with objects and lists over lines of their own as long as they do not fit in one."""
    text = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(text) <= 120 or not isinstance(value, (dict, list)) or not value:
        return text
    inner = indent + " "
    if isinstance(value, dict):
        body = [f"{inner}{json.dumps(key, ensure_ascii=False)}: {lines(each, inner)}" for key, each in value.items()]
        return "{\n" + ",\n".join(body) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + lines(each, inner) for each in value) + f"\n{indent}]"

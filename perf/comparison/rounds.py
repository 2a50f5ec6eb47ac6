"""Rounds: every scenario, target and case in turn, in an order that changes; a failure is noted and the rest goes on."""

import re
import subprocess

from common import ROOT, Failed, progress

from . import figures
from .scenarios import LINKS, SCENARIOS
from .servers import Servers

# What a program, the system or the network may do wrong; anything else is a fault of the script's own.
TROUBLE = (Failed, OSError, subprocess.TimeoutExpired, ValueError, LookupError, StopIteration)


def brief(error, stage):
    """What goes into results: one line, without the paths of this machine."""
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{error.cmd[0].rpartition('/')[2]}: not done in {error.timeout:.0f} s"
    words = str(error).replace(stage.directory + "/", "").replace(ROOT + "/", "")
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    text = (lines or [type(error).__name__])[0] if len(lines) < 2 else f"{lines[0]} {lines[-1]}"
    return re.sub(r"(?<![\w.])/[\w./-]+/", "", text)[:200]


def order(names, number):
    """Of targets in that round: each is first in turn, and follows another. What warms up or cools down favours none."""
    turn = number % max(1, len(names))
    turned = names[turn:] + names[:turn]
    return turned[:1] + turned[:0:-1] if number % 2 else turned


class Rounds:
    """One run over scenarios. `only` are targets' names, or None for all that a scenario has; links are measured in the
    first `link_rounds` rounds, with `congestion` as their TCP's control."""

    def __init__(self, stage, plan, names, only=None, link_rounds=1, congestion="cubic"):
        self.stage, self.plan, self.only = stage, plan, only
        self.link_rounds, self.congestion = link_rounds, congestion
        self.servers = Servers(stage)
        self.scenarios = [SCENARIOS[name] for name in names]
        self.found = {}
        for scenario in self.scenarios:
            self.found[scenario.name] = figures.Scenario(
                scenario.name, scenario.title, scenario.baseline, scenario.figures, scenario.cases(plan),
                self.targets(scenario), scenario.notes)

    def targets(self, scenario):
        if self.only is None:
            return scenario.chosen(self.plan)
        return [name for name in scenario.targets if name in self.only]

    def run(self, number, rounds, after=lambda: None):
        """Round `number` of `rounds`, from 0. `after` is called after every scenario."""
        for scenario in self.scenarios:
            if scenario.name in LINKS and number >= self.link_rounds:
                continue
            names = order(self.targets(scenario), number)
            try:
                scenario.begin(self.stage, self.congestion)
                for name in names:
                    progress(f"round {number + 1} of {rounds}: {scenario.name}: {name}")
                    self.run_target(scenario, number, name)
            except TROUBLE as error:
                self.fail(scenario, names, error)
            try:
                notes = scenario.end(self.stage)
                self.found[scenario.name].notes += [f"Round {number + 1}: {note}." for note in notes]
            except TROUBLE as error:
                self.fail(scenario, names, error)
            after()
        progress("")

    def fail(self, scenario, names, error):
        """What all targets need is not there."""
        for name in names:
            for case in scenario.cases(self.plan):
                self.found[scenario.name].cell(case, name).failed.append(brief(error, self.stage))

    def run_target(self, scenario, number, name):
        cases = [case for case in scenario.cases(self.plan) if not scenario.skips(self.plan, number, name, case)]
        running = None
        for case in cases:
            cell = self.found[scenario.name].cell(case, name)
            try:
                if running is None:
                    running = scenario.open(self.stage, self.servers, name)
                cell.add(scenario.measure(self.plan, running, case, self.servers))
            except TROUBLE as error:
                cell.failed.append(brief(error, self.stage))
                # What it does after that is another matter: the next case has a fresh one.
                if running:
                    running.close()
                    running = None
        if running:
            running.close()

    def results(self):
        return [self.found[scenario.name] for scenario in self.scenarios]

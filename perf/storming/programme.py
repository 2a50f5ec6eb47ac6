"""Which phases a storm has, one after the other, and the table of what they came to."""

import collections
import os
import subprocess
import time

from common import Failed, ROOT, Stage, free_port, machine, progress, table, wait_listening

from . import faults, subject
from .aside import side_by_side
from .phase import Load, Phase
from .world import Storm

DRIVERS = ("uring", "epoll")
# name: (weights of faults, arguments of `tunnel`). Those that every storm has come first; the others as time allows.
KINDS = {
    "relay": (faults.PLAIN, None),
    "tunnel, no faults": (faults.CALM, {}),
    "tunnel": (faults.WILD, {}),
    "small ceiling": (faults.WILD, {"options": ("--memory", "16M")}),
    "keys anew, no faults": (
        faults.CALM, {"options": ("-o", "RekeyLimit=1M"), "server_options": ("RekeyLimit 2M",)}),
    "two links": (faults.WILD, {"options": ("--links", "2")}),
    "a hop": (faults.WILD, {"hop": True}),
    "libssh2": (faults.WITH_CHILD, {"engine": "libssh2"}),
    "a hop, no faults": (faults.CALM, {"hop": True}),
    "keys anew, small ceiling": (
        faults.WILD, {"options": ("--memory", "16M", "-o", "RekeyLimit=1M"), "server_options": ("RekeyLimit 2M",)}),
    "libssh2, no faults": (faults.CALM, {"engine": "libssh2"}),
    "two links, no faults": (faults.CALM, {"options": ("--links", "2")}),
}
ALWAYS = 3
SHORTEST, LONGEST = 8.0, 45.0
# What a phase takes besides its storm, and the last one at the worst.
AROUND, LONGEST_DELAY = 12.0, 400.0


def generator():
    path = os.environ.get("CULVERT_LOAD") or os.path.join(ROOT, ".build", "release", "culvert-load")
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is no program: build it with `swift build -c release --product culvert-load`")
    return path


class Programme:
    """One driver's phases."""

    def __init__(self, storm, stage, driver, seconds, only=None, phase_seconds=None):
        self.storm, self.stage, self.driver, self.seconds, self.only = storm, stage, driver, seconds, only
        self.length = phase_seconds or min(LONGEST, max(SHORTEST, seconds / 12 - AROUND))
        self.phases = 0

    def order(self):
        """Kinds for ever: what every storm has first, then the rest in an order of the dice."""
        kinds = [kind for kind in KINDS if self.only is None or kind == self.only]
        if not kinds:
            raise Failed(f"there is no phase '{self.only}', but: {', '.join(KINDS)}")
        rest = kinds[ALWAYS:]
        self.storm.dice.shuffle(rest)
        while True:
            yield from kinds[:ALWAYS] + rest

    def run(self, note):
        began = time.monotonic()
        port = free_port()
        server = self.stage.start("load", [generator(), "serve", "--load", str(port), "--threads", "1"])
        wait_listening(server, port)
        for kind in self.order():
            left = self.seconds - (time.monotonic() - began)
            if left < SHORTEST and self.phases:
                break
            self.phases += 1
            found = sum(self.storm.failures.values())
            note(f"{self.driver}, phase {self.phases}: {kind}; {self.storm.number} flows, {found} findings,"
                 f" {time.monotonic() - began:.0f} of {self.seconds:.0f} s")
            self.phase(kind, self.driver, port, server, min(self.length, max(SHORTEST, left)))
        return time.monotonic() - began

    def phase(self, kind, driver, port, server, seconds):
        storm, stage = self.storm, self.stage
        weights, arguments = KINDS[kind]
        storm.group = f"{kind}, {driver}"
        name = f"culvert-{self.phases}"
        if arguments is None:
            tested = subject.relay(storm, stage, name, driver, port)
        else:
            tested = subject.tunnel(storm, stage, name, driver, port, label=kind, **arguments)
        try:
            Phase(storm, tested, weights, seconds, load=Load(stage, generator(), tested.load_door, server)).run()
            self.farewell(tested)
        except Failed as failed:
            storm.fail("phase given up", str(failed))
        finally:
            tested.close()

    def farewell(self, tested):
        """SIGTERM, and status 0."""
        if tested.child.poll() is not None:
            return
        tested.child.terminate()
        try:
            status = tested.child.wait(15)
        except subprocess.TimeoutExpired:
            self.storm.fail("culvert does not end", f"15 s after SIGTERM\n{tested.log_end()}")
            return
        if status != 0:
            self.storm.fail("culvert ended wrongly", f"exit status {status} after SIGTERM\n{tested.log_end()}")


class Outcome:
    """What a storm came to, or several."""

    def __init__(self, seed):
        self.seed = seed
        self.failures, self.ends, self.flow_ends, self.faults = (collections.Counter() for _ in range(4))
        self.number = self.phases = 0
        self.seconds = self.longest_stall = 0.0

    def add(self, storm, phases, seconds, longest_stall):
        for name in ("failures", "ends", "flow_ends", "faults"):
            getattr(self, name).update(getattr(storm, name))
        self.number += storm.number
        self.phases += phases
        self.seconds = max(self.seconds, seconds)
        self.longest_stall = max(self.longest_stall, longest_stall)
        return self


def one_driver(seed, driver, seconds, only, phase_seconds):
    """In a process of its own."""
    stage, storm = Stage(), Storm(f"{seed}/{driver}")
    try:
        programme = Programme(storm, stage, driver, seconds, only, phase_seconds)
        took = programme.run(progress)
        return Outcome(seed).add(storm, programme.phases, took, storm.loop.longest)
    finally:
        stage.close()


def storm_of(seed, drivers, seconds, only=None, phase_seconds=None):
    """Storms over all of the drivers at once."""
    outcome = Outcome(seed)
    calls = {driver: (one_driver, (seed, driver, seconds, only, phase_seconds)) for driver in drivers}
    for _, each in side_by_side("storm", calls, seconds + LONGEST_DELAY):
        outcome.add(each, each.phases, each.seconds, each.longest_stall)
    return outcome


def by_driver(counter):
    """{label: {driver: count}} of a counter whose keys are (group, label)."""
    found = {}
    for (group, label), count in counter.items():
        driver = group.rpartition(", ")[2]
        found.setdefault(label, dict.fromkeys(DRIVERS, 0))
        found[label][driver] = found[label].get(driver, 0) + count
    return found


def print_table(storm):
    print(f"{machine()}; {storm.seconds:.0f} s, {storm.phases} phases, {storm.number} flows, seed {storm.seed}\n")
    rows = []
    for title, counter in (("flow: ", storm.flow_ends), ("end: ", storm.ends), ("fault: ", storm.faults)):
        for label, counts in sorted(by_driver(counter).items()):
            rows.append([title + label] + [counts.get(driver, 0) for driver in DRIVERS])
    table(["what", *DRIVERS], rows)
    if storm.longest_stall:
        print(f"\nthe machine let the storm itself stand still for {storm.longest_stall:.1f} s at the longest")
    if storm.failures:
        print("\nfindings:")
        table(["what", "times"], sorted(storm.failures.items()))
    else:
        print("\nno crash, no leak, no wrong byte, no hang, and no clean end that lied")

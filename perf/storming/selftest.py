"""The storm over proxies that are bad on purpose: each kind of fault must be found, and none where there is none."""

import os
import sys

from common import Failed, free_port, progress

from .aside import side_by_side
from .judge import CULVERT
from .phase import Limits, Phase
from .subject import Subject
from .world import Storm

# fault of the proxy: what the storm must call it.
EXPECTED = {
    "none": None, "truncate": "clean end that lied", "forge": "clean end that lied", "corrupt": "wrong byte",
    "double": "wrong byte", "hang": "hang", "leak": "leak of descriptors", "grow": "leak of resident MB",
    "spin": "busy while idle", "die": "culvert died with 3",
}
# Of each storm; and of all of them, side by side, on a slow machine.
SECONDS, DEADLINE = 2.5, 400.0


def one(stage, seed, fault):
    storm = Storm(seed)
    storm.group = f"self-test, {fault}"
    storm.quiet = True
    subject = Subject(storm, stage, f"proxy-{fault}", f"proxy with the fault '{fault}'", "uring")
    door = free_port()
    subject.words = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "badproxy.py"), fault,
                     str(door), str(subject.port("direct"))]
    subject.add("relay", door, CULVERT, CULVERT)
    subject.start()
    try:
        Phase(storm, subject, {"nothing": 1}, SECONDS, Limits(25, 40, 6.0, 4.0)).run()
    finally:
        subject.close()
    return storm


def found(stage, seed, fault):
    """What a storm over that proxy found, and in how many flows."""
    storm = one(stage, seed, fault)
    return sorted({key.partition(" [")[0] for key in storm.failures}), storm.number


def run(stage, seed):
    missed = []
    calls = {fault: (found, (stage, seed, fault)) for fault in EXPECTED}
    for fault, (kinds, flows) in side_by_side("self-test", calls, DEADLINE):
        expected = EXPECTED[fault]
        progress(f"self-test: {fault}")
        if expected is None and kinds:
            missed.append(f"an honest proxy was found guilty of {kinds}")
        elif expected is not None and expected not in kinds:
            missed.append(f"'{fault}' was not found in {flows} flows; found was {kinds}")
    progress("")
    if missed:
        raise Failed("; ".join(missed) + f" (seed {seed})")
    print(f"self-test: {len(EXPECTED) - 1} kinds of fault are found, and none where there is none (seed {seed})")
    return 0

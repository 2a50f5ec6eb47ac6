"""The storm over proxies that are bad on purpose: each kind of fault must be found, and none where there is none."""

import os
import sys

from common import Failed, free_port, progress

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
SECONDS = 2.5


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


def run(stage, seed):
    missed = []
    for fault, expected in EXPECTED.items():
        progress(f"self-test: {fault}")
        storm = one(stage, seed, fault)
        found = sorted({key.partition(" [")[0] for key in storm.failures})
        if expected is None and found:
            missed.append(f"an honest proxy was found guilty of {found}")
        elif expected is not None and expected not in found:
            missed.append(f"'{fault}' was not found in {storm.number} flows; found was {found}")
    progress("")
    if missed:
        raise Failed("; ".join(missed) + f" (seed {seed})")
    print(f"self-test: {len(EXPECTED) - 1} kinds of fault are found, and none where there is none (seed {seed})")
    return 0

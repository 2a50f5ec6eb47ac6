"""Bulk: payload as fast as it goes, up or down, over one connection and over many."""

from ..figures import Figure
from ..generator import loaded
from .base import Scenario

GIGA = 1e9


class Streams(Scenario):
    figures = (
        Figure("rate", "GB/s", 2, "more"),
        Figure("client CPU", "s/GB", 3, "less"),
        Figure("sshd CPU", "s/GB", 3, "less"),
    )

    def __init__(self, name, family):
        super().__init__(name, family, "Bulk on loopback, " + {"tunnel": "through SSH", "plain": "plain TCP"}[family])
        self.notes = ["Payload that culvert-load makes and checks, byte by byte, at both ends."]
        if family == "plain":
            self.figures = self.figures[:2]
            self.notes.append("What relays has one core, the generator's two ends share another; direct: one end each.")

    def cases(self, plan):
        return [f"{way}, {flows} {'flow' if flows == 1 else 'flows'}"
                for flows in ((1, 4) if plan.quick else (1, 4, 64)) for way in ("up", "down")]

    def measure(self, plan, running, case, servers):
        way, flows = case.split(", ")
        found, client, sshd = loaded(
            running, "load", ["stream", "--direction", way], plan.seconds, plan.warmup,
            ["--connections", flows.split()[0]])
        payload = found[f"bytes_{way}"] / GIGA
        values = {"rate": found[f"{way}_bytes_per_s"] / GIGA}
        for name, used in (("client CPU", client), ("sshd CPU", sshd)):
            if used is not None:
                values[name] = used / payload
        return values

"""Bulk: payload as fast as it goes, up or down, over one connection and over many."""

from ..figures import Figure
from ..generator import loaded
from .base import Scenario

GIGA = 1e9
BALANCE = "balance"


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
        else:
            self.figures += (Figure(BALANCE, "busy, least/most worker", 2, "more"),)
            self.notes.append("Balance: with several flows over several links, the least busy worker's processor time to the "
                              "busiest's.")

    def cases(self, plan):
        counts = (1, 4, 64) if not plan.quick else (1, 4) if self.family == "tunnel" else (1,)
        return [f"{way}, {flows} {'flow' if flows == 1 else 'flows'}" for flows in counts for way in ("up", "down")]

    def measure(self, plan, running, case, servers):
        way, flows = case.split(", ")
        before = running.workers()
        found, client, sshd = loaded(
            running, "load", ["stream", "--direction", way], plan.seconds, plan.warmup,
            ["--connections", flows.split()[0]])
        payload = found[f"bytes_{way}"] / GIGA
        values = {"rate": found[f"{way}_bytes_per_s"] / GIGA}
        for name, used in (("client CPU", client), ("sshd CPU", sshd)):
            if used is not None:
                values[name] = used / payload
        spent = [seconds - before.get(worker, 0) for worker, seconds in running.workers().items()]
        if running.links > 1 and flows != "1 flow" and len(spent) > 1 and max(spent) > 0:
            values[BALANCE] = min(spent) / max(spent)
        return values

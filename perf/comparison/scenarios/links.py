"""Emulated links: streams with requests beside them, over a long path, a slow one with a long queue, and one that loses."""

import dataclasses

from common import Failed, wait_listening, free_port
from link import ADDRESS, FAR, NEAR, Link, Way

from ..figures import Figure
from ..generator import generator, report
from ..targets import TARGETS, Tunnel
from .base import Scenario

# Requests a second beside the streams, whatever becomes of the answers: a stall shows in all that it held up.
RATE = 20
# A connection that does not move for so long is given up.
PATIENCE = 30
MEGA = 1e6


@dataclasses.dataclass(frozen=True)
class Path:
    """A kind of link, both directions alike but for the seeds of their losses: bits a second, seconds, bytes, share."""

    title: str
    rate: float
    round_trip: float
    queue: int
    loss: float
    mtu: int

    def ways(self):
        return [Way(delay=self.round_trip / 2, rate=self.rate, queue=self.queue, loss=self.loss, seed=seed) for seed in (1, 2)]


LONG = Path("1 Gbit/s, 100 ms round trip, queue 5 MB, MTU 9000", 1e9, 0.1, 5_000_000, 0, 9000)
SLOW = Path("50 Mbit/s, 40 ms round trip, queue 1 MB, MTU 1500", 50e6, 0.04, 1_000_000, 0, 1500)
LOSSY = Path("100 Mbit/s, 20 ms round trip, queue 250 KB, loss 0.1 % each way, MTU 1500", 100e6, 0.02, 250_000, 0.001, 1500)


class LinkScenario(Scenario):
    """Needs `enclosed()` of link.py, and with it root."""

    figures = (
        Figure("rate", "Mbit/s", 0, "more"),
        Figure("request p50", "ms", 0, "less"),
        Figure("request p99", "ms", 0, "less"),
    )
    quick_targets = ("culvert", "ssh", "direct")

    def __init__(self, name, path):
        super().__init__(name, "tunnel", f"Link: {path.title}")
        self.path, self.link, self.serve = path, None, None
        self.targets = ("culvert", "culvert-4-links", "ssh", "direct")
        self.notes = [
            f"Streams of payload with requests of 64 bytes beside them, {RATE} a second on a connection of their own "
            "through the same tunnel; idle: the requests alone. What goes up is counted where it is sent, once buffers are "
            "full."]

    def cases(self, plan):
        return ["1 up", "1 down"] if plan.quick else ["idle", "1 up", "1 down", "4 up", "4 down"]

    def begin(self, stage, congestion):
        self.link = Link(stage, *self.path.ways(), self.path.mtu, congestion)
        with self.link.inside(FAR):
            self.back = (ADDRESS[FAR], free_port())
            self.serve = stage.start("serve-" + self.name, [
                generator(), "serve", "--bind", self.back[0], "--load", str(self.back[1])])
            wait_listening(self.serve, self.back[1])

    def end(self, stage):
        if self.serve:
            stage.end(self.serve)
        found = self.link.close() if self.link else []
        self.link = self.serve = None
        for way, counts in zip(("up", "down"), found):
            if counts["overflowed"] or counts["refused"]:
                raise Failed(f"the emulator itself lost packets, {way}: {counts}")
        if not found:
            return []
        return [f"the emulator was at most {max(counts['latest_ns'] for counts in found) / 1e6:.1f} ms late"]

    def open(self, stage, servers, name):
        target = TARGETS[name]
        with self.link.inside(NEAR):
            if isinstance(target, Tunnel):
                return target.open(stage, {"load": self.back}, ADDRESS[FAR], lambda: self.link.inside(FAR))
            return target.open(stage, {"load": self.back})

    def measure(self, plan, running, case, servers):
        seconds, growing = (3, 3) if plan.quick else (4 * plan.seconds, 4)
        parts = [f"request --rate {RATE}"]
        if case == "idle":
            seconds, growing = min(seconds, 3), 0.5
        else:
            streams, way = case.split()
            parts.append(f"stream --direction {way} --connections {streams}")
        host, port = running.doors["load"]
        command = [generator(), "mix", f"{host}:{port}", "--json", "--timeout", f"{PATIENCE}s",
                   "--duration", f"{round(seconds * 1000)}ms", "--warmup", f"{round(growing * 1000)}ms"]
        with self.link.inside(NEAR):
            found = report(command + [word for part in parts for word in ("--part", part)], seconds + growing + PATIENCE)
        requests, *streams = found["parts"]
        if not requests["answers"]:
            raise Failed("no request was answered in the measured time")
        values = {f"request {name}": requests["latency_ns"][name] / 1e6 for name in ("p50", "p99")}
        if streams:
            values["rate"] = streams[0][f"{way}_bytes_per_s"] * 8 / MEGA
        return values

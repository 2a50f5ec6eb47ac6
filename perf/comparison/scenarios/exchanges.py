"""Requests and answers over connections that stay, and over a connection for each."""

from common import Failed

from ..figures import Figure
from ..generator import loaded
from .base import Scenario

MICRO = 1e6


def exchange_figures(each):
    return (
        Figure("rate", f"{each}s/s", 0, "more"),
        Figure("p50", "µs", 0, "less"),
        Figure("p99", "µs", 0, "less"),
        Figure("client CPU", f"µs/{each}", 2, "less"),
        Figure("sshd CPU", f"µs/{each}", 2, "less"),
    )


def exchanged(found, client, sshd):
    """The values of a run of requests or of churn."""
    if not found["answers"]:
        raise Failed("no request was answered in the measured time")
    values = {"rate": found["answers_per_s"]}
    for name in ("p50", "p99"):
        values[name] = found["latency_ns"][name] / 1e3
    for name, used in (("client CPU", client), ("sshd CPU", sshd)):
        if used is not None:
            values[name] = used / found["answers"] * MICRO
    return values


class Requests(Scenario):
    figures = exchange_figures("request")

    def __init__(self, name, family):
        super().__init__(name, family, "Requests on loopback, " + {"tunnel": "through SSH", "plain": "plain TCP"}[family])
        self.notes = ["64 bytes there and 64 back, one under way on each of c connections."]
        if family == "plain":
            self.figures = self.figures[:4]

    def cases(self, plan):
        return [f"c = {count}" for count in ((1, 50) if plan.quick else (1, 50, 500))]

    def measure(self, plan, running, case, servers):
        options = ["--connections", case.split()[-1]]
        return exchanged(*loaded(running, "load", ["request"], plan.seconds, plan.warmup, options))


class Churn(Scenario):
    figures = exchange_figures("connection")

    def __init__(self, name, family):
        super().__init__(name, family, "Churn on loopback, " + {"tunnel": "through SSH", "plain": "plain TCP"}[family])
        self.notes = ["Connect, one request of 64 bytes and its answer, end; so many connections at once."]
        if family == "plain":
            self.figures = self.figures[:4]

    def cases(self, plan):
        return ["c = 8"] if plan.quick else ["c = 1", "c = 8"]

    def measure(self, plan, running, case, servers):
        options = ["--connections", case.split()[-1]]
        return exchanged(*loaded(running, "load", ["churn"], plan.seconds, plan.warmup, options))

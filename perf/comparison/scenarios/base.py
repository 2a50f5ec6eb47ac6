"""What a scenario is, and how thoroughly it is run."""

import dataclasses

from common import cpu_seconds

from ..targets import RELAY_CPU, REST_CPU, TARGETS, Direct

TUNNELS = ("culvert", "culvert-epoll", "culvert-4-links", "culvert-libssh2", "culvert-chacha20", "culvert-ctr", "culvert-default",
           "ssh", "ssh-chacha20", "ssh-ctr", "ssh-default", "direct")
PLAIN = ("relay", "relay-epoll", "haproxy", "nginx", "socat", "direct")
FAMILIES = {"tunnel": (TUNNELS, "ssh"), "plain": (PLAIN, "haproxy")}


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much: seconds of a measurement, its warming up, and whether only the most telling cases are run."""

    seconds: float
    warmup: float
    quick: bool


class Scenario:
    """One kind of load, run against several targets in several cases.

    A subclass has `figures`, `backs` (the servers behind the targets), `cases(plan)` and
    `measure(plan, running, case, servers)`, which returns {figure's name: value} and raises Failed where there is none.
    """

    backs = ("load",)
    figures = ()
    notes = ()
    # Of the targets, those that --quick measures.
    quick_targets = ("culvert", "culvert-4-links", "ssh", "direct", "relay", "haproxy", "nginx", "socat")

    def __init__(self, name, family, title):
        self.name, self.family, self.title = name, family, title
        self.targets, self.baseline = FAMILIES[family]

    def chosen(self, plan):
        """The names of its targets."""
        return [name for name in self.targets if not plan.quick or name in self.quick_targets]

    def cases(self, plan):
        raise NotImplementedError

    def skips(self, plan, number, target, case):
        """Whether a case is left out in that round (from 0); the notes say so."""
        return False

    def begin(self, stage, congestion):
        """Before the first target of a round: makes what all of them need. `congestion`: TCP's control of its links."""

    def end(self, stage):
        """After the last target of a round, also when `begin` failed; returns notes on that round."""
        return []

    def open(self, stage, servers, name):
        """Starts a target."""
        target = TARGETS[name]
        cpu = None
        if self.family == "plain":
            # Without a program in between, the server has its core.
            cpu = RELAY_CPU if isinstance(target, Direct) else REST_CPU
        running = target.open(stage, {back: servers.back(back, cpu) for back in self.backs})
        if self.family == "plain":
            running.cpu = REST_CPU
        return running

    def measure(self, plan, running, case, servers):
        raise NotImplementedError


def each(running, count, body, scale=1e6):
    """Runs `body`, and returns what it returns with the target's and its sshd's processor time for each of `count()`."""
    sessions = running.session_pids()
    before, before_sessions = running.cpu_seconds(), sum(map(cpu_seconds, sessions))
    found = body()
    total = count(found)
    used = {}
    if running.clients:
        used["client CPU"] = (running.cpu_seconds() - before) / total * scale
    if sessions:
        used["sshd CPU"] = (sum(map(cpu_seconds, sessions)) - before_sessions) / total * scale
    return found, used

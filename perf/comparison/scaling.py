"""What a byte and a request cost as connections grow from one to thousands, and as links and threads do."""

import dataclasses
import resource
import time

from common import Failed

from . import figures
from .figures import Figure
from .generator import loaded
from .targets import CULVERT, GCM, TARGETS, Relay, Tunnel, culvert_relay

FLOWS = (1, 10, 100, 1000, 5000, 10_000)
# ssh and sshd walk through all channels for every packet. Above this, a point of ssh's would take longer than all the rest.
SSH_FLOWS = 1000
# One sshd has all flows of a tunnel with one link, and is no less quadratic than ssh.
LINK_FLOWS = 5000
# Descriptors that a program needs besides those of its connections.
SPARE = 200
# Channels that a tunnel opens in a second, at least, on a machine that is not slow.
OPENED = 400
MICRO, GIGA = 1e6, 1e9
# Bytes go in blocks, two under way on each connection: streams, of which each fills megabytes of buffers, would take all
# memory with thousands of connections.
BLOCKS = ["--request-size", "32K", "--depth", 2]

FIGURES = (
    Figure("client CPU of a byte", "s/GB", 3, "less"),
    Figure("rate of bytes", "GB/s", 3, "more"),
    Figure("client CPU of a request", "µs", 2, "less"),
    Figure("rate of requests", "requests/s", 0, "more"),
)


@dataclasses.dataclass
class Series:
    """A target whose connections grow: how many it is measured with at most, and why not more."""

    name: str
    most: int
    why: str


def counted(count, things):
    return f"{count} {things if count != 1 else things[:-1]}"


def descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def series():
    """Those of the flows. A relay has two descriptors a connection, a tunnel's client and its sshd one each."""
    half = (descriptors() - SPARE) // 2
    relayed = f"it has two descriptors a connection, and {descriptors()} are allowed here"
    return [
        Series("culvert", LINK_FLOWS, "all channels are one sshd's, whose time grows with the square of their number"),
        Series("culvert-4-links", descriptors() - SPARE, f"{descriptors()} descriptors are allowed here"),
        Series("ssh", SSH_FLOWS, "ssh's time and its sshd's grow with the square of the number of channels"),
        Series("relay", half, relayed),
        Series("haproxy", half, relayed),
    ]


def widths(cores):
    """{title: targets by their number of links or threads}, from one to the cores."""
    counts = sorted({1, 2, cores} | {2 ** power for power in range(cores.bit_length()) if 2 ** power <= cores})
    counts = [count for count in counts if count <= max(cores, 2)]
    links = {count: Tunnel(f"culvert --links {count}", "", CULVERT + ["-c", GCM, "--links", str(count)], links=count)
             for count in counts}
    threads = {count: Relay(f"culvert relay --threads {count}", "", culvert_relay("--threads", str(count), cpu=None))
               for count in counts}
    return {"links": links, "threads": threads}


class Scaling:
    """One run. `limit`: seconds that a point may take; what takes longer is told as not done, and larger ones of that
    target are left out."""

    def __init__(self, stage, servers, seconds, limit, say):
        self.stage, self.servers, self.seconds, self.limit, self.say = stage, servers, seconds, limit, say

    def point(self, running, count):
        """The values of so many connections."""
        began = time.monotonic()
        values = {}
        options = ["--connections", count, "--timeout", f"{round(self.limit * 1000)}ms"]
        found, client = self.carried(running, count, BLOCKS + options)
        values["client CPU of a byte"] = client / found["bytes_up"] * GIGA
        values["rate of bytes"] = found["up_bytes_per_s"] / GIGA
        found, client = self.carried(running, count, options)
        values["client CPU of a request"] = client / found["answers"] * MICRO
        values["rate of requests"] = found["answers_per_s"]
        self.say(f"{count}: {time.monotonic() - began:.0f} s")
        # The kernel's ticks are of 10 ms: less than one is no figure.
        return {name: value for name, value in values.items() if value > 0}

    def carried(self, running, count, options):
        """A run with warming up enough for all channels to open: a tunnel takes connections before it has channels."""
        warmup = max(self.seconds / 2, count / OPENED)
        while True:
            found, client, _ = loaded(running, "load", ["request"], self.seconds, warmup, options, self.limit)
            if found["answers"]:
                return found, client
            warmup *= 3
            if warmup > self.limit:
                raise Failed(f"nothing was answered in the measured time, after {warmup / 3:.0f} s of warming up")

    def measure(self, cell, target, count):
        """Adds a point to its cell; whether there was one."""
        running = None
        try:
            running = target.open(self.stage, {"load": self.servers.back("load")})
            running.cpu = None
            cell.add(self.point(running, count))
            return True
        except (Failed, OSError, ValueError) as error:
            cell.failed.append(str(error).splitlines()[0][:160])
            return False
        finally:
            if running:
                running.close()

    def flows(self, rounds, most):
        found = figures.Scenario("scaling-flows", "Connections: what a byte up and a request cost", "ssh", FIGURES)
        found.cases = [counted(count, "connections") for count in FLOWS if count <= most]
        chosen = series()
        for each in (each for each in chosen if each.most < most):
            found.notes.append(f"{each.name} has at most {each.most} connections: {each.why}.")
        found.notes.append(f"What is not done {self.limit:g} s after its time is told as failed, and more connections are then left out.")
        found.notes.append("Bytes go up in blocks of 32 KiB, two under way on each connection; requests are of 64 bytes there "
                           "and back, one under way on each connection.")
        gone = set()
        for number in range(rounds):
            for count in (count for count in FLOWS if count <= most):
                for each in chosen if number % 2 == 0 else reversed(chosen):
                    if count > each.most or each.name in gone:
                        continue
                    self.say(f"round {number + 1} of {rounds}: {each.name}, {count} connections")
                    if not self.measure(found.cell(counted(count, "connections"), each.name), TARGETS[each.name], count):
                        gone.add(each.name)
        return found

    def widths(self, rounds, cores, connections=64):
        made = []
        for title, by_count in widths(cores).items():
            found = figures.Scenario(
                f"scaling-{title}", f"{title.capitalize()}: what a byte up and a request cost with {connections} connections",
                "", FIGURES, notes=[f"{title.capitalize()} from 1 to {max(by_count)}; this machine has {cores} cores, which "
                                    "culvert shares with the generator and the server."])
            name = "culvert" if title == "links" else "relay"
            for number in range(rounds):
                for count, target in sorted(by_count.items(), reverse=number % 2 == 1):
                    self.say(f"round {number + 1} of {rounds}: {target.name}")
                    self.measure(found.cell(counted(count, title), name), target, connections)
            found.cases.sort(key=lambda case: int(case.split()[0]))
            made.append(found)
        return made

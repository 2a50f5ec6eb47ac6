"""Connections that are held and do nothing: the time to open them, what one costs in memory, and an active one beside."""

import socket
import time

from common import Failed

from ..figures import Figure
from ..generator import loaded
from .base import Scenario

MANY = 5000
# What opens so many: where sshd is quadratic in its channels, that takes a minute for each target.
OPENS_MANY = ("culvert", "culvert-4-links", "ssh", "relay", "haproxy", "nginx", "direct")
# All of them have to be open by then. ssh takes a minute for 5000 on a fast machine.
PATIENCE = 120


def memory(pids):
    """Resident bytes; what processes share counts once, but where the kernel does not tell how much that is: of a program
    that keeps secrets from others of its user."""
    return sum(kilobytes(pid, "smaps_rollup", "Pss:") or kilobytes(pid, "status", "VmRSS:") for pid in pids) * 1024


def kilobytes(pid, file, name):
    """0 where it may not be read."""
    try:
        with open(f"/proc/{pid}/{file}", encoding="utf-8", errors="replace") as lines:
            return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
    except PermissionError:
        return 0


def opened(address, count, patience=PATIENCE):
    """So many connections, each made when the one before has carried a byte there and back; and the seconds they took."""
    began, held = time.monotonic(), []
    try:
        for number in range(count):
            held.append(once(address, 30))
            if time.monotonic() - began > patience:
                raise Failed(f"{number + 1} of {count} connections were open after {patience} s")
    except (OSError, Failed):
        release(held)
        raise
    return held, time.monotonic() - began


def once(address, patience):
    """A connection that has carried a byte there and back."""
    connection = socket.create_connection(address, timeout=patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(b"x")
    if connection.recv(1) != b"x":
        connection.close()
        raise Failed("a connection was cut as it was opened")
    return connection


def release(held):
    for connection in held:
        connection.close()


class Idle(Scenario):
    backs = ("load", "echo")
    figures = (
        Figure("opened in", "s", 2, "less"),
        Figure("active p50", "µs", 0, "less"),
        Figure("active p99", "µs", 0, "less"),
        Figure("client memory", "KB/connection", 1, "less"),
        Figure("client CPU", "µs/request", 2, "less"),
    )
    notes = (
        "So many connections, opened one after the other and held, beside one that makes requests of 64 bytes.",
        f"{MANY} are measured in the first round only, and not of every target: ssh and sshd walk through all channels for "
        "each packet, so their time to open them grows with the square of the number.",
    )

    def __init__(self, name, family):
        super().__init__(name, family, "Idle connections, " + {"tunnel": "through SSH", "plain": "plain TCP"}[family])
        self.notes = list(self.notes)
        without = {"culvert-chacha20", "culvert-ctr", "culvert-default", "ssh-chacha20", "ssh-ctr", "ssh-default"}
        self.targets = [target for target in self.targets if target not in without]

    def cases(self, plan):
        return [f"{count} idle" for count in ((1000,) if plan.quick else (100, 1000, MANY))]

    def skips(self, plan, number, target, case):
        return case.startswith(str(MANY)) and (number > 0 or target not in OPENS_MANY)

    def measure(self, plan, running, case, servers):
        count = int(case.split()[0])
        before = memory(running.client_pids())
        # The first connections of a program pay for what all of them use.
        release([once(running.doors["echo"], 20)])
        held, seconds = opened(running.doors["echo"], count)
        try:
            values = {"opened in": seconds}
            if running.clients:
                values["client memory"] = (memory(running.client_pids()) - before) / count / 1e3
            found, client, _ = loaded(running, "load", ["request"], plan.seconds, plan.warmup)
            if not found["answers"]:
                raise Failed("no request was answered in the measured time")
            values["active p50"], values["active p99"] = (found["latency_ns"][name] / 1e3 for name in ("p50", "p99"))
            if client is not None:
                values["client CPU"] = client / found["answers"] * 1e6
            return values
        finally:
            release(held)
            # The next case begins where nothing is open any more.
            time.sleep(count / 20000)

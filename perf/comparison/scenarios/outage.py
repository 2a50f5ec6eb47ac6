"""A link that is killed at the server: how long until a connection through the tunnel carries a byte again."""

import contextlib
import os
import signal
import socket
import time

from common import Failed, eventually

from ..figures import Figure
from .base import Scenario

PATIENCE = 30
# A connection that the old link took, and took along.
STALE = 5


def carries(address, wait):
    """Whether a new connection carries a byte there and back within that time."""
    with contextlib.suppress(OSError), socket.create_connection(address, timeout=wait) as connection:
        connection.sendall(b"x")
        return connection.recv(1) == b"x"
    return False


class Outage(Scenario):
    backs = ("echo",)
    quick_targets = ("culvert", "ssh-loop", "autossh")
    figures = (Figure("until the first byte", "s", 3, "less"),)

    def __init__(self, name, family):
        super().__init__(name, family, "A link that dies")
        self.targets, self.baseline = ["culvert", "culvert-epoll", "culvert-libssh2", "ssh-loop", "autossh"], "ssh-loop"
        self.notes = ["sshd's process of the link is killed; connections are tried until one carries a byte there and back."]

    def cases(self, plan):
        return ["sshd's process killed"]

    def measure(self, plan, running, case, servers):
        door = running.doors["echo"]
        eventually("it carries", lambda: carries(door, STALE), PATIENCE)
        sessions = running.session_pids()
        if not sessions:
            raise Failed("no process of sshd's serves the link")
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        while not carries(door, STALE):
            if time.monotonic() - began > PATIENCE:
                raise Failed(f"nothing carried in {PATIENCE} s")
            time.sleep(0.002)
        return {"until the first byte": time.monotonic() - began}

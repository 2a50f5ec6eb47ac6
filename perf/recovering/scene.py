"""One target, one fault: how long until a new connection is served, and what the tunnel did meanwhile."""

import contextlib
import os
import random
import time

from common import Failed, eventually

from . import network
from .client import Tries, Tunnel
from .network import SERVER, Network
from .server import Echo, NameServer, Server

# How long a tunnel may take to come up, how long it stands before the fault, and how long it is waited for afterwards.
START, STAND, PATIENCE = 20, 5, 150
# The log of a login may come a little after its first answer.
SETTLE = 0.5


class Scene:
    def __init__(self, stage, name, row, target):
        self.began = self.tries_count_from = self.ended = None
        os.makedirs(stage.path(name))
        self.parts = []
        try:
            self.network = self.part(Network(stage, name, row.refusal))
            self.server = Server(stage, name, self.network.server)
            self.part(Echo(self.network.server))
            self.names = self.part(NameServer(self.network.client, SERVER))
            self.tunnel = self.part(Tunnel(stage, name, self.network.client, target, row.destination))
            self.tries = self.part(Tries(self.network.client))
        except BaseException:
            self.close()
            raise

    def part(self, it):
        self.parts.append(it)
        return it

    @contextlib.contextmanager
    def fault(self):
        """What is done meanwhile is the fault. A try that began before it was done does not count."""
        self.network.forget_knocks()
        self.logins_before = self.server.logins()
        self.began = time.monotonic()
        yield
        self.tries_count_from = time.monotonic()

    def whole(self):
        """From now on a new ssh would get through."""
        self.ended = time.monotonic()

    def close(self):
        for part in reversed(self.parts):
            part.close()
        if hasattr(self, "server"):
            self.server.kill()


def measure(stage, name, row, target):
    """{figure: value} of a scene."""
    scene = Scene(stage, name, row, target)
    try:
        answer, _ = eventually(f"{target} comes up", lambda: scene.tries.first_answer(0), START)
        # At any moment between two tries.
        time.sleep(STAND + random.random())
        if scene.tries.first_answer(answer) is None:
            raise Failed(f"{target} does not stay up")
        row.strike(scene)
        found = waited(scene)
        is_back = found is not None
        found = found or time.monotonic()
        time.sleep(SETTLE)
        if not scene.tunnel.is_running():
            raise Failed(f"{target} ended: {stage.log(f'{name}/{target}')[-500:].strip()}")
        syns = [each for each in scene.network.syns.since(scene.began) if each[0] <= found]
        return {
            "back after": max(0.0, found - scene.ended), "away": found - scene.began, "given up": 0 if is_back else 1,
            "SYNs": len(syns), "connections": len({which for _, which in syns}),
            "SYNs in 30 s": network.most_within([when for when, _ in syns], network.SPAN),
            "logins": scene.server.logins() - scene.logins_before, "refused": scene.network.refused(),
        }
    finally:
        scene.close()


def waited(scene):
    """When a try that began after the fault was answered; None: not in all that time."""
    deadline = scene.ended + PATIENCE
    while time.monotonic() < deadline:
        found = scene.tries.first_answer(scene.tries_count_from)
        if found is not None:
            return found
        time.sleep(0.01)
    return None

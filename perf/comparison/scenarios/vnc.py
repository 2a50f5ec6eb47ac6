"""A VNC session: the pointer moves, small parts of the screen come back, and now and then the whole of it."""

import time

from ..figures import Figure
from ..rfb import Screen
from .base import Scenario, each

SMALL = 64
# Small parts before the whole screen is asked for.
PARTS = 20


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class VNC(Scenario):
    backs = ("vnc",)
    figures = (
        Figure("rate", "screens/s", 1, "more"),
        Figure("small p50", "ms", 2, "less"),
        Figure("small p99", "ms", 2, "less"),
        Figure("whole p50", "ms", 2, "less"),
        Figure("client CPU", "ms/screen", 2, "less"),
        Figure("sshd CPU", "ms/screen", 2, "less"),
    )

    def __init__(self, name, family):
        super().__init__(name, family, "A VNC session, " + {"tunnel": "through SSH", "plain": "plain TCP"}[family])
        self.notes = [f"TigerVNC's server, 1024 x 768, raw pixels. {PARTS} times the pointer moves and {SMALL} x {SMALL} pixels "
                      "are asked for (16 KB), then the whole screen (3 MB)."]
        self.targets = [target for target in self.targets if target in ("culvert", "culvert-4-links", "ssh", "direct")]

    def cases(self, plan):
        return ["one viewer"]

    def measure(self, plan, running, case, servers):
        screen = Screen(running.doors["vnc"])
        small, whole = [], []

        def look():
            began = time.monotonic()
            while time.monotonic() - began < plan.seconds:
                for number in range(PARTS):
                    screen.point(number, number)
                    small.append(timed(lambda: screen.picture(SMALL, SMALL)))
                whole.append(timed(lambda: screen.picture(screen.width, screen.height)))
            return len(whole), time.monotonic() - began

        try:
            screen.picture(screen.width, screen.height)
            (count, seconds), used = each(running, lambda found: found[0], look, scale=1e3)
        finally:
            screen.close()
        return {"rate": count / seconds, "small p50": percentile(small, 0.5) * 1e3, "small p99": percentile(small, 0.99) * 1e3,
                "whole p50": percentile(whole, 0.5) * 1e3} | used


def timed(body):
    began = time.monotonic()
    body()
    return time.monotonic() - began

"""What happens to a tunnel, each with how it is made whole again."""

import dataclasses
import signal
import time

from .network import COUNT, DROP, OTHER, REJECT, SERVER
from .server import NAME

# Seconds.
REBOOT, CUT, SLEEP = 6, 45, 60


def killed(scene):
    with scene.fault():
        scene.server.kill()
    scene.server.start()
    scene.whole()


def rebooted(scene):
    with scene.fault():
        scene.server.kill()
    time.sleep(REBOOT)
    scene.server.start()
    scene.whole()


def refusing(scene):
    scene.server.keep_out()
    with scene.fault():
        scene.server.kill()
    scene.server.start()
    time.sleep(REBOOT)
    scene.server.let_in()
    scene.whole()


def deaf(scene):
    with scene.fault():
        for port in scene.network.client_ports():
            scene.network.lose_from_client(port)
    scene.whole()


def mute(scene):
    with scene.fault():
        for port in scene.network.client_ports():
            scene.network.lose_from_server(port)
    scene.whole()


def moved(scene):
    with scene.fault():
        scene.names.address = OTHER
        scene.network.lose_address(SERVER)
    scene.whole()


def suspended(scene):
    scene.tries.paused = True
    with scene.fault():
        scene.network.cut()
        scene.tunnel.signal(signal.SIGSTOP)
    scene.server.kill_sessions()
    time.sleep(SLEEP)
    scene.network.mend()
    scene.tunnel.signal(signal.SIGCONT)
    scene.tries.paused = False
    scene.whole()


def cut(scene):
    with scene.fault():
        scene.network.cut()
    time.sleep(CUT)
    scene.network.mend()
    scene.whole()


def unplugged(scene):
    with scene.fault():
        scene.network.unplug()
    time.sleep(CUT)
    scene.network.plug_in()
    scene.whole()


@dataclasses.dataclass(frozen=True)
class Row:
    """`strike` makes the fault and what ends it. `most`: culvert is back within that many seconds whatever others do."""

    name: str
    title: str
    strike: object
    refusal: str = COUNT
    destination: str = SERVER
    most: float | None = None
    # Seconds that a round of both targets takes, about: the longest begin first.
    length: float = 60


ROWS = {row.name: row for row in [
    Row("killed", "sshd killed, started at once", killed, length=25),
    Row("rebooted", "server rebooted: port closed for 6 s", rebooted, length=50),
    Row("refusing", "server rebooted: login refused for 6 s", refusing, length=50),
    Row("limit-reject", "port closed for 6 s, behind `ufw limit` (REJECT)", rebooted, REJECT, length=150),
    Row("limit-drop", "port closed for 6 s, behind a limit that drops (DROP)", rebooted, DROP, length=150),
    Row("deaf", "half-dead: what the client sends on it vanishes", deaf, most=15, length=100),
    Row("mute", "half-dead: what the server sends on it vanishes", mute, most=15, length=100),
    Row("moved", "host dead, its name leads to another", moved, destination=NAME, length=100),
    Row("suspended", "client suspended for 60 s, session gone", suspended, length=160),
    Row("cut", "path cut for 45 s", cut, length=140),
    Row("unplugged", "the client's own device down for 45 s", unplugged, length=140),
]}

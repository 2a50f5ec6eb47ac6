"""What stands at the client of a scene: the tunnel, and a program that tries to use it every second."""

import errno
import os
import selectors
import signal
import socket
import threading
import time

from common import descendants, login_words, program
from link import inside

from .server import ECHO_PORT, NAME_SERVER
from .network import SSH_PORT

DOOR = 7000
PACE = 1.0
CULVERT, AUTOSSH = "culvert", "autossh"
# As people run it who want it to come back: no monitoring port, no first attempt that ends it, keepalives.
OPTIONS_OF_SSH = ["ServerAliveInterval=15", "ServerAliveCountMax=3", "ExitOnForwardFailure=yes"]


def command(target):
    """Without the login."""
    if target == CULVERT:
        return [program(), "-F", "none"]
    return ["autossh", "-M", "0", "-N", "-F", "none", *(word for each in OPTIONS_OF_SSH for word in ("-o", each))]


class Tunnel:
    """A target that runs. `destination` is an address or a name; names are asked for at the scene's own name server."""

    def __init__(self, stage, name, namespace, target, destination):
        self.stage = stage
        words = command(target) + ["-L", f"127.0.0.1:{DOOR}:127.0.0.1:{ECHO_PORT}"]
        words += login_words(stage, SSH_PORT, destination)
        resolver = stage.write(f"{name}/resolv.conf", f"nameserver {NAME_SERVER}\n")
        words = ["unshare", "--mount", "sh", "-c", f'mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh", *words]
        with inside(namespace):
            self.child = stage.start(f"{name}/{target}", words, {"AUTOSSH_GATETIME": "0", "AUTOSSH_PORT": "0"})

    def signal(self, number):
        """To all its processes."""
        for pid in [self.child.pid, *descendants(self.child.pid)]:
            os.kill(pid, number)

    def is_running(self):
        return self.child.poll() is None

    def close(self):
        if self.is_running():
            self.signal(signal.SIGCONT)
        self.stage.end(self.child, wait=3)


class Try:
    """One connection: a word, which is to come back."""

    def __init__(self, number):
        self.began = time.monotonic()
        self.word = b"%015d\n" % number
        self.heard = b""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        code = self.socket.connect_ex(("127.0.0.1", DOOR))
        self.is_over = code not in (0, errno.EINPROGRESS)
        if self.is_over:
            self.socket.close()


class Tries(threading.Thread):
    """Begins a try every second and leaves it open until it is answered or ended: so one that is held counts when it is
    answered, and one that is refused is over."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        self.namespace = namespace
        self.selector = selectors.DefaultSelector()
        # (when it began, when it was answered)
        self.answered = []
        self.paused = self.ended = False
        self.start()

    def run(self):
        with inside(self.namespace):
            due, number = time.monotonic(), 0
            while not self.ended:
                now = time.monotonic()
                if now >= due:
                    due = max(due + PACE, now)
                    if not self.paused:
                        number += 1
                        self.begin(number)
                for key, ready in self.selector.select(min(0.1, max(0.0, due - time.monotonic()))):
                    self.advance(key.data, ready)
            for key in list(self.selector.get_map().values()):
                key.data.socket.close()
            self.selector.close()

    def begin(self, number):
        attempt = Try(number)
        if not attempt.is_over:
            self.selector.register(attempt.socket, selectors.EVENT_WRITE, attempt)

    def advance(self, attempt, ready):
        try:
            if ready & selectors.EVENT_WRITE:
                attempt.socket.send(attempt.word)
                self.selector.modify(attempt.socket, selectors.EVENT_READ, attempt)
                return
            heard = attempt.socket.recv(64)
        except OSError:
            heard = b""
        attempt.heard += heard
        if heard and len(attempt.heard) < len(attempt.word):
            return
        if attempt.heard == attempt.word:
            self.answered.append((attempt.began, time.monotonic()))
        self.selector.unregister(attempt.socket)
        attempt.socket.close()

    def first_answer(self, since):
        """When the first of those that began since then was answered; None: none was yet."""
        return min((at for began, at in list(self.answered) if began >= since), default=None)

    def close(self):
        self.ended = True
        self.join()

"""An emulated link for the scripts in perf/: two network namespaces joined by perf/link.c, which delays, limits and drops.

`enclosed()` first: it goes on in a child that is the first process of its own process and mount namespaces. Whatever is
started and made from then on (programs, namespaces, devices, files of `Stage`) goes when that child goes, and it goes
when the process that was started goes, even by SIGKILL. Then `Link`; `with link.inside(FAR):` does on the far side what
stands in it: sockets that are opened there and programs that are started there stay there.
"""

import contextlib
import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile

from common import ROOT, Failed

NEAR, FAR = "near", "far"
ADDRESS = {NEAR: "10.99.0.1", FAR: "10.99.0.2"}
CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
# Of a signal that the kernel sent, here: the terminal, to the whole group.
SI_KERNEL = 0x80

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        raise Failed(f"{what}: {os.strerror(ctypes.get_errno())}")


def enclosed():
    """Goes on in a child in namespaces of its own; the caller only waits for it, hands signals on, and ends as it ends."""
    if os.geteuid() != 0:
        raise Failed("an emulated link takes root: it makes network namespaces and TUN devices")
    if not os.path.exists("/dev/net/tun"):
        raise Failed("an emulated link takes /dev/net/tun, which this system has not")
    handed_on = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, handed_on | {signal.SIGCHLD})
    outer = os.open("/proc/self/ns/pid", os.O_RDONLY)
    check(libc.unshare(CLONE_NEWPID), "a process namespace")
    parent_lives, parent = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(parent)
        check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
        os.set_blocking(parent_lives, False)
        with contextlib.suppress(BlockingIOError):
            # An end of file: the parent ended before it was asked for.
            os._exit(0 if os.read(parent_lives, 1) == b"" else 1)
        os.close(parent_lives)
        check(libc.unshare(CLONE_NEWNS), "a mount namespace")
        # /run holds the names of network namespaces, and here the files of `Stage` too.
        for words in (["--make-rprivate", "/"], ["-t", "proc", "proc", "/proc"], ["-t", "tmpfs", "tmpfs", "/run"]):
            subprocess.run(["mount"] + words, check=True)
        tempfile.tempdir = "/run"
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os.close(parent_lives)
    check(libc.setns(outer, CLONE_NEWPID), "the process namespace")
    while True:
        came = signal.sigwaitinfo(handed_on | {signal.SIGCHLD})
        if came.si_signo != signal.SIGCHLD:
            if came.si_code != SI_KERNEL:
                os.kill(child, came.si_signo)
            continue
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            sys.stdout.flush()
            # Not by way of what was registered for the end: that is the child's.
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def own_network(congestion):
    """Goes on in a network namespace of its own, with nothing but loopback in it and that congestion control of TCP."""
    if os.geteuid() != 0:
        raise Failed("another congestion control takes root: it makes a network namespace")
    check(libc.unshare(CLONE_NEWNET), "a network namespace")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # By the routes: the setting of a namespace takes no control that users may not choose.
    for network in ("127.0.0.0/8", "127.0.0.1"):
        done = subprocess.run(
            ["ip", "route", "replace", "local", network, "dev", "lo", "proto", "kernel", "scope", "host", "src",
             "127.0.0.1", "table", "local", "congctl", congestion], capture_output=True, check=False)
        if done.returncode != 0:
            raise Failed(f"TCP's congestion control {congestion} is not to be had here")


@contextlib.contextmanager
def inside(name):
    """This thread is in that network namespace meanwhile, and so is all that it opens and starts."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    place = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        check(libc.setns(place, CLONE_NEWNET), f"the namespace {name}")
        yield
    finally:
        check(libc.setns(before, CLONE_NEWNET), "the namespace before")
        os.close(place)
        os.close(before)


@dataclasses.dataclass
class Way:
    """One direction: one-way delay in seconds, bits a second (0: no limit), bytes of queue, share that is lost."""

    delay: float = 0.0
    rate: float = 0.0
    queue: int = 1_000_000
    loss: float = 0.0
    seed: int = 1

    def word(self):
        return f"{self.delay * 1e9:.0f}:{self.rate:.0f}:{self.queue}:{self.loss * 1e6:.0f}:{self.seed}"


class Link:
    """The namespaces `near` and `far`, and the program between them. `congestion` is the TCP control of both sides."""

    def __init__(self, stage, up, down, mtu=9000, congestion=None):
        self.stage = stage
        program = stage.path("link")
        if not os.path.exists(program):
            source = os.path.join(ROOT, "perf", "link.c")
            stage.run([os.environ.get("CC", "clang"), "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source])
        for name in (NEAR, FAR):
            stage.run(["ip", "netns", "add", name])
            with self.inside(name):
                # Otherwise it talks to its neighbours by itself, in packets that nobody sent.
                for scope in ("all", "default"):
                    set_kernel(f"net/ipv6/conf/{scope}/disable_ipv6", 1)
        self.program = subprocess.Popen(
            [program, *(f"/run/netns/{name}" for name in (NEAR, FAR)), str(mtu), up.word(), down.word()],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self.program.stdout.readline() != "ready\n":
            raise Failed("the emulated link did not start")
        for name, other in ((NEAR, FAR), (FAR, NEAR)):
            stage.run(["ip", "-n", name, "link", "set", "lo", "up"])
            stage.run(["ip", "-n", name, "address", "add", ADDRESS[name], "peer", ADDRESS[other], "dev", "link0"])
            if congestion:
                # Of the route, not of the namespace: that may choose only what its system allows to everybody.
                stage.run(["ip", "-n", name, "route", "change", ADDRESS[other], "dev", "link0", "src", ADDRESS[name],
                           "congctl", congestion])

    def inside(self, name):
        return inside(name)

    def close(self):
        """Ends the link; what each direction counted, up first. Whatever runs inside is the caller's to end before."""
        self.program.terminate()
        report, _ = self.program.communicate(timeout=10)
        for name in (NEAR, FAR):
            self.stage.run(["ip", "netns", "delete", name])
        if self.program.returncode != 0:
            raise Failed(f"the emulated link ended with exit code {self.program.returncode}")
        return [
            {name: int(value) for name, value in (pair.split("=") for pair in line.split())}
            for line in report.splitlines()
        ]


def set_kernel(name, value):
    with open(f"/proc/sys/{name}", "w", encoding="ascii") as file:
        file.write(str(value))

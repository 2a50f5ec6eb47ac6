"""What is tested: culvert with its sshd, as a process that is started, measured, disturbed and ended."""

import os
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from common import Failed, TICKS, descendants, eventually, free_port, is_listening, program  # noqa: E402

from .judge import CULVERT, PIPE, SSHD, UNIX  # noqa: E402
from .world import Door  # noqa: E402

USER = os.environ.get("USER") or "root"
# A flow that begins so long after a fault may still meet it.
AFTERMATH = 6.0


class Server:
    """An sshd of this user's, which can be ended, frozen and started again at the same port."""

    def __init__(self, stage, name, options=()):
        self.stage, self.name = stage, name
        for key in ("host", "login"):
            if not os.path.exists(stage.path(key)):
                stage.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stage.path(key)])
        self.port = free_port()
        with open(stage.path("login.pub"), encoding="utf-8") as key:
            stage.write("authorized_keys", key.read())
        with open(stage.path("host.pub"), encoding="utf-8") as key, \
                open(stage.path("known_hosts"), "a", encoding="utf-8") as known:
            known.write(f"[127.0.0.1]:{self.port} {key.read()}")
        self.configuration = stage.write(f"{name}_config", "\n".join([
            *options, f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {stage.path('host')}", "PidFile none",
            f"AuthorizedKeysFile {stage.path('authorized_keys')}", "StrictModes no", "UsePAM no", "MaxStartups 1000",
            "PermitRootLogin yes", ""]))
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.child = None
        self.start()
        eventually(f"{name} listens", lambda: is_listening(self.port))

    def start(self):
        self.child = self.stage.start(self.name, ["/usr/sbin/sshd", "-D", "-e", "-f", self.configuration])

    def sessions(self):
        return descendants(self.child.pid)

    def signal_sessions(self, number, sessions=None):
        for pid in self.sessions() if sessions is None else sessions:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


class Subject:
    """A process and the doors into it. `troubles` counts what was done to the path; what begins before `trouble_until`
    may still feel it."""

    def __init__(self, storm, stage, name, label, driver):
        self.storm, self.stage, self.name, self.label, self.driver = storm, stage, name, label, driver
        self.child = None
        self.doors = []
        self.troubles = 0
        self.trouble_until = self.frozen_until = 0.0
        self.has_ceiling = self.asks_one_by_one = False
        self.servers = []
        self.listeners = {"direct": storm.listen(), "reverse": storm.listen()}
        self.words = []

    def port(self, which):
        return self.listeners[which].getsockname()[1]

    def target_port(self, door):
        return self.port("reverse" if door.client_end == SSHD else "direct")

    def load_forward(self, port):
        """The door to culvert-load's far end."""
        self.load_door = free_port()
        return ["-L", f"127.0.0.1:{self.load_door}:127.0.0.1:{port}"]

    def add(self, kind, port, client_end, target_end, socks=False):
        self.doors.append(
            Door(self, kind, socket.AF_INET, ("127.0.0.1", port), client_end, target_end, socks))

    def start(self):
        environment = {"SSH_AUTH_SOCK": "", "HOME": self.stage.directory,
                       "CULVERT_HOME": self.stage.directory}
        self.log_start = len(self.stage.log(self.name)) if os.path.exists(self.stage.path(self.name + ".log")) else 0
        self.child = self.stage.start(self.name, self.words, environment=environment)

    def is_ready(self):
        # sshd listens before it says so, and libssh2 refuses who comes in between.
        if self.asks_one_by_one and "the server listens on" not in self.stage.log(self.name)[self.log_start:]:
            return False
        return all(is_listening(door.address[1]) for door in self.doors if door.family == socket.AF_INET)

    @property
    def runs(self):
        return self.child.poll() is None

    def defers(self, number):
        """Whether that signal waits until it is asked for, and so cannot end it."""
        with open(f"/proc/{self.child.pid}/status", encoding="ascii", errors="replace") as file:
            blocked = next(int(line.split()[1], 16) for line in file if line.startswith("SigBlk:"))
        return bool(blocked >> (number - 1) & 1)

    def is_dying(self):
        """Whether it has ended: its sockets are closed a moment before its end can be seen."""
        if self.runs:
            time.sleep(0.02)
        return not self.runs

    def wait_ready(self):
        def condition():
            if self.child.poll() is not None:
                raise Failed(f"{self.label} ended with {self.child.returncode}:\n{self.log_end()}")
            return self.is_ready()
        eventually(f"the doors of {self.label} are open", condition, 30)

    def trouble(self, seconds=0.0, freezes=False):
        """Something is done to the path now, for so long."""
        self.troubles += 1
        now = time.monotonic()
        self.trouble_until = max(self.trouble_until, now + seconds + AFTERMATH)
        if freezes:
            self.frozen_until = max(self.frozen_until, now + seconds)

    def was_frozen_since(self, moment):
        return max(self.frozen_until, self.storm.loop.stalled_at) > moment

    def log_end(self):
        return "".join(f"    {line}\n" for line in self.stage.log(self.name).splitlines()[-15:])

    def measure(self):
        """Descriptors, threads, and resident memory in MB."""
        if not self.runs:
            raise Failed(f"{self.label} ended with {self.child.returncode}\n{self.log_end()}")
        found = {"descriptors": 0, "threads": 0, "resident MB": 0}
        for pid in self.processes():
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                status = dict(line.split(":", 1) for line in file)
            found["descriptors"] += len(os.listdir(f"/proc/{pid}/fd"))
            found["threads"] += int(status["Threads"])
            found["resident MB"] += int(status["VmRSS"].split()[0]) / 1024
        return found

    def processes(self):
        """culvert, and the process that it has for libssh2."""
        return [self.child.pid] + descendants(self.child.pid)

    def cpu(self):
        seconds = 0
        for pid in self.processes():
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / TICKS
        return seconds

    def close(self):
        for listener in self.listeners.values():
            self.storm.loop.forget(listener.fileno())
            listener.close()
        for child in [self.child] + [server.child for server in self.servers]:
            if child is not None:
                for pid in descendants(child.pid) if child is not self.child else []:
                    try:
                        os.kill(pid, signal.SIGCONT)
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                if child.poll() is None:
                    child.send_signal(signal.SIGCONT)
                self.stage.end(child)


def relay(storm, stage, name, driver, load_port):
    """culvert relay: both ends of each flow are culvert's."""
    subject = Subject(storm, stage, name, f"relay, {driver}", driver)
    door = free_port()
    subject.words = [program(), "relay", "-v", "--io", driver, "-L",
                     f"127.0.0.1:{door}:127.0.0.1:{subject.port('direct')}", *subject.load_forward(load_port)]
    subject.add("relay", door, CULVERT, CULVERT)
    subject.start()
    return subject


def tunnel(
        storm, stage, name, driver, load_port, *, hop=False, engine=None, options=(), server_options=(),
        label="tunnel"):
    """culvert with every kind of forward."""
    subject = Subject(storm, stage, name, f"{label}, {driver}", driver)
    subject.has_ceiling = "--memory" in options
    # libssh2 asks for one channel at a time: a connection may wait for the answers to others, asked for as it is.
    subject.asks_one_by_one = engine == "libssh2"
    subject.servers.append(Server(stage, name + "-sshd", server_options))
    configuration = "none"
    if hop:
        subject.servers.append(Server(stage, name + "-hop"))
        configuration = stage.write(name + "-config", "\n".join([
            "Host hop", "  HostName 127.0.0.1", f"  Port {subject.servers[1].port}", f"  User {USER}",
            f"  IdentityFile {stage.path('login')}", f"  UserKnownHostsFile {stage.path('known_hosts')}", ""]))
    direct, reverse, dynamic, reverse_socks = (free_port() for _ in range(4))
    path = stage.path(name + ".socket")
    server = subject.servers[0]
    subject.login = [
        program(), "-F", configuration, "-v", "--io", driver, *(["--engine", engine] if engine else []),
        *(["-J", "hop"] if hop else []), "-p", str(server.port), "-i", stage.path("login"), "-o",
        f"UserKnownHostsFile={stage.path('known_hosts')}", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
        "-o", "IdentitiesOnly=yes", "-o", "ServerAliveInterval=2", "-o", "StreamLocalBindUnlink=yes"]
    subject.place = f"{USER}@127.0.0.1"
    # One that begins again while its server is away waits for it, as one does that has begun before. Its links are killed
    # in quick succession, which only a server of one's own is to feel: no limit of knocks.
    subject.words = subject.login + [
        "--persist", "--knocks", "0", *options, "-L", f"127.0.0.1:{direct}:127.0.0.1:{subject.port('direct')}", "-L",
        f"{path}:127.0.0.1:{subject.port('direct')}", "-R",
        f"127.0.0.1:{reverse}:127.0.0.1:{subject.port('reverse')}", "-D", f"127.0.0.1:{dynamic}",
        *subject.load_forward(load_port)]
    subject.add("-L", direct, CULVERT, SSHD)
    subject.add("-R", reverse, SSHD, CULVERT)
    subject.add("-D", dynamic, CULVERT, SSHD, socks=True)
    subject.doors.append(Door(subject, "-L of a Unix socket", socket.AF_UNIX, path, UNIX, SSHD))
    # libssh2 cannot ask for the forward that the client's word decides.
    if engine is None:
        subject.words += ["-R", f"127.0.0.1:{reverse_socks}"]
        subject.add("-R with SOCKS", reverse_socks, SSHD, CULVERT, socks=True)
    subject.words.append(subject.place)
    subject.pipe = Door(subject, "-W", None, None, PIPE, SSHD)
    subject.start()
    return subject

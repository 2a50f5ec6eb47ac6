"""What is compared: programs that carry TCP connections, each started with a door for every server behind it."""

import contextlib
import glob
import os
import resource
import signal

from common import (
    TICKS, Failed, cpu_seconds, descendants, eventually, free_port, login_words, program, start_server, wait_listening,
)

LOOPBACK = "127.0.0.1"
# With two cores and more, what carries plain TCP has one and everything else has another.
RELAY_CPU, REST_CPU = 1, 0


def descriptor_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


class Running:
    """A target that runs. `doors`: where each server is to be reached through it."""

    def __init__(self, stage, doors, clients=(), server=None, pids_are_stable=True):
        self.stage = stage
        self.doors = doors
        self.clients = list(clients)
        self.server = server
        # False where processes come and go with connections: then their time is counted over a whole run.
        self.pids_are_stable = pids_are_stable
        # Where the generator runs, when the target has a core of its own.
        self.cpu = None
        # SSH connections to the server.
        self.links = 1

    def client_pids(self):
        """Of the program that is compared."""
        return [pid for child in self.clients for pid in [child.pid] + descendants(child.pid)]

    def session_pids(self):
        """Of the sshd processes that serve it; none for what needs no sshd."""
        return [pid for pid in descendants(self.server.pid) if serves(pid)] if self.server else []

    def cpu_seconds(self):
        """Of the clients' processes, those that live and those that have ended."""
        while True:
            try:
                return sum(cpu_seconds(pid) for pid in self.client_pids())
            except (FileNotFoundError, ProcessLookupError):
                if any(child.poll() is not None for child in self.clients):
                    raise Failed("it has ended") from None

    def workers(self):
        """Processor seconds of each of culvert's worker threads."""
        found = {}
        for task in (path for pid in self.client_pids() for path in glob.glob(f"/proc/{pid}/task/*/stat")):
            with open(task, encoding="utf-8", errors="replace") as file:
                text = file.read()
            name, fields = text[text.index("(") + 1:text.rindex(")")], text.rpartition(")")[2].split()
            if name.removeprefix("culvert-").isdigit():
                found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICKS
        return found

    def close(self):
        served = self.session_pids()
        # The groups: a shell or a program that forks would leave its children.
        for child in self.clients:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        for child in self.clients + ([self.server] if self.server else []):
            self.stage.end(child)
        for pid in served:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def serves(pid):
    """Whether a process below sshd stays for its link: one that has ended, or is for the login alone, does not."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            title = file.read().strip("\0 ")
    except OSError:
        return False
    return bool(title) and not title.endswith("[net]")


class Target:
    """Something to compare. `about` is for the reader of the tables."""

    def __init__(self, name, about):
        self.name, self.about = name, about

    def open(self, stage, backs):
        """Starts it with a door to each of `backs`: {server: (address, port)}. Returns a Running."""
        raise NotImplementedError


class Direct(Target):
    """No program in between."""

    def open(self, stage, backs):
        return Running(stage, dict(backs))


class Tunnel(Target):
    """An SSH client with forwards, and an sshd of its own; `links` logins have to stand before it is used."""

    def __init__(self, name, about, words, links=1, runs=None, environment=None):
        super().__init__(name, about)
        self.words, self.links, self.runs, self.environment = words, links, runs, environment

    def open(self, stage, backs, address=LOOPBACK, inside=None):
        """`inside`: makes a context in which sshd starts, where that is not on this side of a link."""
        label = f"sshd-for-{self.name}"
        if inside:
            with inside():
                port = start_server(stage, address=address, name=label)
        else:
            port = start_server(stage, address=address, name=label)
        server = stage.children[-1]
        doors = {name: (LOOPBACK, free_port()) for name in backs}
        forwards = [word for name, (host, back) in backs.items()
                    for word in ("-L", f"{LOOPBACK}:{doors[name][1]}:{host}:{back}")]
        words = [program() if word == "culvert" else word for word in self.words]
        command = words + forwards + login_words(stage, port, address)
        if self.runs:
            command = self.runs(command)
        before = len(stage.log(label).split("Accepted ")) - 1
        running = Running(stage, doors, [stage.start(self.name, command, self.environment)], server)
        running.links = self.links
        try:
            for _, door in doors.values():
                wait_listening(running.clients[0], door)
            eventually(f"{self.links} links stand",
                       lambda: len(stage.log(label).split("Accepted ")) - 1 - before >= self.links)
        except Failed:
            running.close()
            raise
        return running


class Relay(Target):
    """A program that relays plain TCP: `start` returns its processes, given doors and backs."""

    def __init__(self, name, about, start, pids_are_stable=True):
        super().__init__(name, about)
        self.start, self.pids_are_stable = start, pids_are_stable

    def open(self, stage, backs):
        doors = {name: (LOOPBACK, free_port()) for name in backs}
        children = self.start(stage, self.name, doors, backs)
        running = Running(stage, doors, children, pids_are_stable=self.pids_are_stable)
        try:
            for index, (_, door) in enumerate(doors.values()):
                wait_listening(children[min(index, len(children) - 1)], door)
        except Failed:
            running.close()
            raise
        running.cpu = REST_CPU
        return running


def culvert_relay(*options, cpu=RELAY_CPU):
    def start(stage, label, doors, backs):
        forwards = [word for name, (host, port) in backs.items() for word in ("-L", f"{doors[name][1]}:{host}:{port}")]
        return [stage.start(label, [program(), "relay", *options] + forwards, cpu=cpu)]

    return start


def haproxy(stage, label, doors, backs):
    listeners = "".join(f"""\
listen {name}
  bind {LOOPBACK}:{doors[name][1]}
  server target {host}:{port}
""" for name, (host, port) in backs.items())
    # Of each connection: two sockets, and the share of a pipe that it counts for.
    configuration = stage.write("haproxy.cfg", f"""\
global
  nbthread 1
  maxconn {int(descriptor_limit() / 2.6)}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  option splice-auto
{listeners}""")
    return [stage.start(label, ["haproxy", "-db", "-f", configuration], cpu=RELAY_CPU)]


NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


def nginx(stage, label, doors, backs):
    servers = "".join(f"  server {{ listen {LOOPBACK}:{doors[name][1]}; proxy_pass {host}:{port}; }}\n"
                      for name, (host, port) in backs.items())
    module = f"load_module {NGINX_STREAM};\n" if os.path.exists(NGINX_STREAM) else ""
    configuration = stage.write("nginx-stream.conf", f"""\
{module}daemon off;
master_process off;
pid {stage.path("nginx-stream.pid")};
error_log stderr;
worker_rlimit_nofile {descriptor_limit()};
events {{ worker_connections {descriptor_limit() - 100}; }}
stream {{
  tcp_nodelay on;
  proxy_buffer_size 64k;
  proxy_timeout 1h;
  proxy_half_close on;
{servers}}}
""")
    return [stage.start(label, ["/usr/sbin/nginx", "-e", "stderr", "-c", configuration], cpu=RELAY_CPU)]


def socat(stage, label, doors, backs):
    return [
        stage.start(f"{label}-{name}", [
            "socat", "-b", "65536", f"TCP-LISTEN:{doors[name][1]},bind={LOOPBACK},reuseaddr,fork,nodelay,backlog=1024",
            f"TCP:{host}:{port},nodelay"], cpu=RELAY_CPU)
        for name, (host, port) in backs.items()]


GCM, CHACHA = "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"
COUNTER = ["-c", "aes128-ctr", "-m", "hmac-sha2-256-etm@openssh.com"]
CULVERT, SSH = ["culvert", "-F", "none", "-q"], ["ssh", "-F", "none", "-N"]
RESTARTED = SSH + ["-o", "ExitOnForwardFailure=yes"]


def in_a_loop(command):
    """Started again whenever it ends: what a service manager without any delay does."""
    return ["sh", "-c", 'while :; do "$@"; done', "loop"] + command


TARGETS = {target.name: target for target in [
    Direct("direct", "no program in between"),
    Tunnel("culvert", "native engine, io_uring, AES-256-GCM, one link", CULVERT + ["-c", GCM]),
    Tunnel("culvert-epoll", "the same on epoll", CULVERT + ["-c", GCM, "--io", "epoll"]),
    Tunnel("culvert-4-links", "the same with four links", CULVERT + ["-c", GCM, "--links", "4"], links=4),
    Tunnel("culvert-libssh2", "the libssh2 engine (AES-CTR)", CULVERT + ["--engine", "libssh2"]),
    Tunnel("culvert-default", "culvert as it comes", CULVERT),
    Tunnel("culvert-chacha20", "with ChaCha20-Poly1305", CULVERT + ["-c", CHACHA]),
    Tunnel("culvert-ctr", "with AES-128-CTR and HMAC-SHA-256", CULVERT + COUNTER),
    Tunnel("ssh", "ssh -L with AES-256-GCM", SSH + ["-c", GCM]),
    Tunnel("ssh-default", "ssh -L as it comes", SSH),
    Tunnel("ssh-chacha20", "ssh -L with ChaCha20-Poly1305", SSH + ["-c", CHACHA]),
    Tunnel("ssh-ctr", "ssh -L with AES-128-CTR and HMAC-SHA-256", SSH + COUNTER),
    Tunnel("ssh-loop", "ssh, started again as soon as it ends", RESTARTED, runs=in_a_loop),
    Tunnel("autossh", "ssh under autossh -M 0", ["autossh", "-M", "0"] + RESTARTED[1:],
           environment={"AUTOSSH_GATETIME": "0"}),
    Relay("relay", "culvert relay on io_uring", culvert_relay()),
    Relay("relay-epoll", "culvert relay on epoll", culvert_relay("--io", "epoll")),
    Relay("haproxy", "haproxy with splice, one thread", haproxy),
    Relay("nginx", "nginx stream, one worker", nginx),
    Relay("socat", "socat, a process a connection", socat, pids_are_stable=False),
]}

"""What the scripts in perf/ share: programs that end with the script, an sshd, ports, streams, figures from /proc."""

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICKS = os.sysconf("SC_CLK_TCK")
# Bytes of one call that sends or receives in bulk.
BLOCK = 1 << 20


class Failed(Exception):
    """What went wrong, for the person who reads it."""


class Stage:
    """A temporary directory and the programs started in it; both are gone when the script ends."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="culvert-perf.")
        os.chmod(self.directory, 0o755)
        self.children = []
        atexit.register(self.close)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: sys.exit(128 + number))

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def start(self, name, command, environment=None, cpu=None):
        """Starts a program in a group of its own; its output goes to NAME.log. `cpu` pins it."""
        if cpu is not None and (os.cpu_count() or 1) > 1:
            command = ["taskset", "-c", str(cpu)] + command
        merged = dict(os.environ, **(environment or {}))
        with open(self.path(name + ".log"), "ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=merged, start_new_session=True
            )
        child.name = name
        child.log = self.path(name + ".log")
        self.children.append(child)
        return child

    def run(self, command, timeout=120, environment=None, cpu=None):
        """Runs a program to its end and returns its standard output."""
        if cpu is not None and (os.cpu_count() or 1) > 1:
            command = ["taskset", "-c", str(cpu)] + command
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
            env=dict(os.environ, **(environment or {})),
        )
        if done.returncode != 0:
            raise Failed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}{done.stdout}")
        return done.stdout

    def log(self, name):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, child, number=signal.SIGTERM, wait=10):
        """Ends a program; kills its group if it does not end by itself."""
        if child.poll() is None:
            child.send_signal(number)
            try:
                child.wait(wait)
            except subprocess.TimeoutExpired:
                pass
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()

    def close(self):
        for child in reversed(self.children):
            self.end(child, getattr(child, "last_signal", signal.SIGTERM))
        self.children = []
        shutil.rmtree(self.directory, ignore_errors=True)


def eventually(what, condition, within=15.0):
    """Waits for a condition; returns what it found and the seconds that it took."""
    began = time.monotonic()
    while True:
        found = condition()
        if found:
            return found, time.monotonic() - began
        if time.monotonic() - began > within:
            raise Failed(f"not within {within} s: {what}")
        time.sleep(0.005)


def free_port():
    """A port that nothing listens on, below the range for outgoing connections."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def is_listening(port):
    """Whether something listens there, in the network namespace of this thread."""
    wanted = f":{port:04X}"
    for file in ("tcp", "tcp6"):
        with open(f"/proc/thread-self/net/{file}", encoding="ascii") as table:
            for line in table:
                fields = line.split()
                if len(fields) > 3 and fields[1].endswith(wanted) and fields[3] == "0A":
                    return True
    return False


def wait_listening(child, port, within=15.0):
    def condition():
        if child.poll() is not None:
            with open(child.log, encoding="utf-8", errors="replace") as log:
                raise Failed(f"{child.name} ended with exit code {child.returncode}: {log.read()[-2000:].strip()}")
        return is_listening(port)

    eventually(f"{child.name} listens on {port}", condition, within)


def start_server(stage, options=(), address="127.0.0.1", name="sshd"):
    """An unprivileged sshd, its keys made for this run; returns its port. `options` are lines of sshd_config. Several of
    one stage have a `name` each, and one login."""
    for key in ("host", "login"):
        if not os.path.exists(stage.path(key)):
            stage.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stage.path(key)])
    port = free_port()
    with open(stage.path("login.pub"), encoding="utf-8") as key:
        stage.write("authorized_keys", key.read())
    with open(stage.path("host.pub"), encoding="utf-8") as key:
        # Of the servers before, too.
        with open(stage.path("known_hosts"), "a", encoding="utf-8") as known:
            known.write(f"[{address}]:{port} {key.read()}")
    configuration = stage.write(f"{name}_config", "\n".join([
        *options, f"Port {port}", f"ListenAddress {address}", f"HostKey {stage.path('host')}", "PidFile none",
        f"AuthorizedKeysFile {stage.path('authorized_keys')}", "StrictModes no", "UsePAM no", ""]))
    if os.getuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    wait_listening(stage.start(name, ["/usr/sbin/sshd", "-D", "-e", "-f", configuration]), port)
    return port


def login_words(stage, port, address="127.0.0.1"):
    """The options and the destination, for ssh and culvert alike, of a login at `start_server`'s server."""
    return [
        "-p", str(port), "-i", stage.path("login"), "-o", f"UserKnownHostsFile={stage.path('known_hosts')}",
        "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
        f"{os.environ.get('USER') or 'root'}@{address}"]


def pour(connection, length):
    """Sends that many bytes."""
    block = memoryview(bytes(BLOCK))
    while length > 0:
        connection.sendall(block[: min(length, BLOCK)])
        length -= BLOCK


def swallow(connection, length):
    """Receives that many bytes; an end before them is a failure."""
    buffer = memoryview(bytearray(BLOCK))
    while length > 0:
        count = connection.recv_into(buffer, min(length, BLOCK))
        if count == 0:
            raise Failed("a stream ended early")
        length -= count


def descendants(pid):
    """Every process below `pid`."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, layer = [], {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found += layer
    return found


def cpu_seconds(pid):
    """Processor seconds of a process, of all its threads and of its ended children; the grain is a tick (10 ms)."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def program():
    """The culvert to measure."""
    path = os.environ.get("CULVERT") or os.path.join(ROOT, ".build", "release", "culvert")
    if not os.access(path, os.X_OK):
        raise Failed(f"{path} is no program: build it with `make build`")
    return path


def machine():
    """One line that names the machine, to stand beside every figure."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}"


def table(head, rows, left=1):
    """Prints rows under a head, the first `left` columns to the left and the others to the right."""
    widths = [max(len(str(row[index])) for row in [head] + rows) for index in range(len(head))]
    for number, row in enumerate([head] + rows):
        cells = [
            str(cell).ljust(width) if index < left else str(cell).rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths))
        ]
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def progress(text):
    """One line on standard error that the next one replaces; plain lines where that is no terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def main(body):
    """Runs a script's body; a failure is one line (or what a program said) and exit code 1."""
    try:
        sys.exit(body())
    except Failed as failed:
        print(f"\nFAILED: {failed}", file=sys.stderr)
        sys.exit(1)
    except subprocess.TimeoutExpired as late:
        print(f"\nFAILED: {' '.join(map(str, late.cmd))} took more than {late.timeout} s", file=sys.stderr)
        sys.exit(1)

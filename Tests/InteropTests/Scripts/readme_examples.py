"""Runs the examples of a README as a reader types them, in a world where their hosts exist.

usage: unshare --net --mount readme_examples.py README CULVERT CULVERT_LOAD DIRECTORY

Two network namespaces: the reader's, and one that is every host that an example names, with an OpenSSH server and a
service behind every port that an example leads to. Names, users and home directory are those of this world (mounts that
end with it). For each example a line is printed, "ok" or "FAILED" and why; the exit status is 0 when all are ok and
there was at least one of each kind that is expected.
"""

import os
import re
import shlex
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tomllib

README, CULVERT, LOAD, DIRECTORY = sys.argv[1:5]
NEAR, FAR = "10.99.0.1", "10.99.0.2"
HOME = f"{DIRECTORY}/home"
PATIENCE = 20


class Wrong(Exception):
    pass


def run(*command, prefix=()):
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Wrong(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def until(what, probe):
    end = time.monotonic() + PATIENCE
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > end:
            raise Wrong(f"not within {PATIENCE} s: {what}")
        time.sleep(0.02)


# The README


def blocks(text):
    """Each fenced block: its language, and its lines with those that go on joined."""
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        yield language, body.replace("\\\n", " ").splitlines()


def without_comment(line):
    lexer = shlex.shlex(line, posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = []
    for word in lexer:
        if word.startswith("#"):
            break
        words.append(word)
    return " ".join(words)


# The world


class World:
    """The far namespace, its names, users and services."""

    def __init__(self, hosts, users):
        self.keeper = subprocess.Popen(["unshare", "-n", "sleep", "infinity"])
        self.far = ("nsenter", "-t", str(self.keeper.pid), "-n")
        own = os.readlink("/proc/self/ns/net")
        until("the far namespace", lambda: os.readlink(f"/proc/{self.keeper.pid}/ns/net") != own)
        run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.keeper.pid))
        for prefix, name, address in ((), "near", NEAR), (self.far, "far", FAR):
            run("ip", "link", "set", "lo", "up", prefix=prefix)
            run("ip", "address", "add", f"{address}/24", "dev", name, prefix=prefix)
            run("ip", "link", "set", name, "up", prefix=prefix)
        self.served = set()
        self._names(hosts)
        self._users(users)
        self._server()

    def _mount(self, name, text):
        path = f"{DIRECTORY}/{name}"
        with open(path, "w") as file:
            file.write(text)
        run("mount", "--bind", path, f"/etc/{name}")

    def _names(self, hosts):
        lines = ["127.0.0.1 localhost", "::1 ip6-localhost"] + [f"{FAR} {host}" for host in sorted(hosts)]
        self._mount("hosts", "\n".join(lines) + "\n")

    def _users(self, users):
        names = sorted({"root", *users})
        with open("/etc/passwd") as file:
            others = [line for line in file if line.split(":")[0] not in names]
        self._mount("passwd", "".join([f"{name}:x:0:0::{HOME}:/bin/sh\n" for name in names] + others))

    def _server(self):
        os.makedirs(f"{HOME}/.ssh", mode=0o700)
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        os.makedirs("/run/sshd", mode=0o755)
        keys = f"{DIRECTORY}/host"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{HOME}/.ssh/id_ed25519")
        run("cp", f"{HOME}/.ssh/id_ed25519.pub", f"{HOME}/.ssh/authorized_keys")
        with open(f"{keys}.pub") as public, open(f"{HOME}/.ssh/known_hosts", "w") as known:
            known.write("* " + " ".join(public.read().split()[:2]) + "\n")
        with open(f"{DIRECTORY}/sshd_config", "w") as file:
            file.write(
                f"Port 22\nPort 2222\nListenAddress 0.0.0.0\nHostKey {keys}\nPidFile none\nUsePAM no\nStrictModes no\n"
                "MaxStartups 500\nMaxSessions 1000\nUseDNS no\nGatewayPorts clientspecified\n"
                "Subsystem sftp internal-sftp\n"
            )
        self.sshd = subprocess.Popen(
            [*self.far, "/usr/sbin/sshd", "-D", "-e", "-f", f"{DIRECTORY}/sshd_config"],
            stderr=open(f"{DIRECTORY}/sshd.log", "w"),
        )
        until("sshd", lambda: answers_there(self, "127.0.0.1", 22, lambda stream: stream.recv(4) == b"SSH-"))

    def serve(self, is_far, port):
        """What an example leads to: it sends back what comes, and knows a GET when it sees one."""
        if (is_far, port) in self.served or (is_far and port in (22, 2222)):
            return
        self.served.add((is_far, port))
        within(self if is_far else None, lambda: listen(port))

    def close(self):
        self.sshd.kill()
        self.keeper.kill()


def within(world, body):
    """Runs body on a thread, in the far namespace where a world is given, and returns what it returns."""
    result = []

    def work():
        try:
            if world:
                with open(f"/proc/{world.keeper.pid}/ns/net") as place:
                    setns(place.fileno())
            result.append(body())
        except (OSError, Wrong) as error:
            result.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if not result:
        raise Wrong(f"nothing came within {PATIENCE} s")
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def setns(descriptor):
    import ctypes

    # os.setns came with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "setns")


def listen(port):
    listener = socket.create_server(("0.0.0.0", port))

    def serve(connection):
        try:
            while data := connection.recv(65536):
                if data.startswith((b"GET ", b"HEAD ")):
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                    return connection.close()
                connection.sendall(data)
        except OSError:
            pass
        connection.close()

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


# What an example opens


def talk(stream):
    stream.sendall(b"ping")
    return stream.recv(4) == b"ping"


def talk_socks(host, port):
    def go(stream):
        name = host.encode()
        stream.sendall(b"\5\1\0")
        if stream.recv(2) != b"\5\0":
            return False
        stream.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + struct.pack(">H", port))
        answer = stream.recv(10)
        return len(answer) == 10 and answer[1] == 0 and talk(stream)

    return go


def connect(address):
    if isinstance(address, str):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(PATIENCE)
        stream.connect(address)
        return stream
    return socket.create_connection(address, timeout=PATIENCE)


def answers(address, dialogue):
    try:
        with connect(address) as stream:
            return dialogue(stream)
    except OSError:
        return False


def answers_there(world, host, port, dialogue):
    return within(world, lambda: answers((host, port), dialogue))


class Doors:
    """The listening ends that a command line asks for, as `culvert -G` understands it."""

    def __init__(self, settings):
        self.direct, self.reverse, self.socks, self.remote_socks = [], [], [], []
        for line in settings.splitlines():
            key, *values = line.split(" ")
            if key == "localforward":
                self.direct.append((endpoint(values[0]), endpoint(values[1])))
            elif key == "remoteforward" and len(values) > 1 and values[1] != "[socks]:0":
                self.reverse.append((endpoint(values[0]), endpoint(values[1])))
            elif key == "remoteforward":
                self.remote_socks.append(endpoint(values[0]))
            elif key == "dynamicforward":
                self.socks.append(endpoint(values[0]))

    def targets(self):
        for _, target in self.direct:
            if isinstance(target, tuple):
                yield True, target[1]
        for _, target in self.reverse:
            if isinstance(target, tuple):
                yield False, target[1]

    def check(self, world, said):
        for door, _ in self.direct:
            until(f"{door} answers", lambda: answers(near_side(door), talk))
        for door, _ in self.reverse:
            port = door[1] or int(until("the port", lambda: re.search(r"Allocated port (\d+)", said()))[1])
            until(f"{port} there answers", lambda: answers_there(world, "127.0.0.1", port, talk))
        for door in self.socks:
            world.serve(True, 80)
            until(f"{door} answers", lambda: answers(near_side(door), talk_socks("web", 80)))
        for door in self.remote_socks:
            world.serve(False, 80)
            until(f"{door} there answers", lambda: answers_there(world, "127.0.0.1", door[1], talk_socks("localhost", 80)))

    def __len__(self):
        return len(self.direct) + len(self.reverse) + len(self.socks) + len(self.remote_socks)


def endpoint(text):
    if text.startswith("/"):
        return text
    match = re.fullmatch(r"(?:\[(.*)\]|([^:]*)):(\d+)", text)
    if not match:
        return ("", int(text))
    return (match[1] if match[1] is not None else match[2], int(match[3]))


def near_side(door):
    if isinstance(door, str):
        return door
    return ("::1" if door[0] == "::1" else "127.0.0.1", door[1])


# The examples


class Reader:
    def __init__(self, world):
        self.world = world
        self.place = f"{DIRECTORY}/work"
        os.makedirs(self.place)
        os.makedirs(f"{DIRECTORY}/bin")
        os.symlink(CULVERT, f"{DIRECTORY}/bin/culvert")
        os.symlink(LOAD, f"{DIRECTORY}/bin/culvert-load")
        self.environment = {
            "PATH": f"{DIRECTORY}/bin:{os.environ['PATH']}", "HOME": HOME, "CULVERT_HOME": HOME, "LANG": "C.UTF-8", "USER": "root",
        }
        self.running = []

    def shell(self, line, name):
        log = open(f"{DIRECTORY}/{name}.log", "w")
        return subprocess.Popen(
            ["sh", "-c", line], cwd=self.place, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )

    def output(self, line):
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.place, env=self.environment, capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout, done.stderr

    def said(self, name):
        with open(f"{DIRECTORY}/{name}.log") as log:
            return log.read()

    def settings(self, words):
        code, said, wrong = self.output(shlex.join(["culvert", "-G", *words[1:]]))
        if code:
            raise Wrong(wrong)
        return said

    def end(self, process):
        """Ends what an example started, also what went to the background."""
        for pid in self.culverts():
            os.kill(pid, signal.SIGTERM)
        until("culvert ends", lambda: not self.culverts())
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()

    def culverts(self):
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.readlink(f"/proc/{name}/exe") == os.path.realpath(CULVERT):
                    if os.readlink(f"/proc/{name}/ns/net") == os.readlink("/proc/self/ns/net"):
                        found.append(int(name))
            except OSError:
                pass
        return [pid for pid in found if not is_zombie(pid)]

    def tunnel(self, line, doors, name):
        for is_far, port in doors.targets():
            self.world.serve(is_far, port)
        process = self.shell("exec " + line, name)
        try:
            doors.check(self.world, lambda: self.said(name))
        except Wrong as error:
            raise Wrong(f"{error}\n{self.said(name)}")
        finally:
            self.end(process)

    def example(self, line, name):
        words = shlex.split(line)
        if words[:2] == ["culvert", "relay"]:
            # It has no -G; its forwards are written as a tunnel's.
            self.tunnel(line, Doors(self.settings(["culvert", "-F", "none", *words[2:], "server"])), name)
        elif words[:2] == ["culvert", "up"]:
            with open(f"{self.place}/{words[2]}", "rb") as file:
                tunnels = tomllib.load(file)["tunnel"]
            options = []
            for tunnel in tunnels.values():
                for key, flag in ("local", "-L"), ("remote", "-R"), ("dynamic", "-D"):
                    values = tunnel.get(key, [])
                    for value in [values] if isinstance(values, str) else values:
                        options += [flag, value]
            self.tunnel(line, Doors(self.settings(["culvert", "-F", "none", *options, "server"])), name)
        elif words[0] == "culvert" and words[1] in ("check", "--help", "-G", "-V", "--version"):
            self.finish(line)
        elif words[0] == "culvert":
            doors = Doors(self.settings(words))
            if not len(doors):
                raise Wrong("it opens nothing")
            self.tunnel(line, doors, name)
        elif words[0] == "culvert-load" and words[1] != "serve":
            self.finish(f"{line} --duration 1 --warmup 0")
        else:
            # What a master has done it says nothing of.
            self.finish(line, is_silent="-O" in words)

    def finish(self, line, is_silent=False):
        code, said, wrong = self.output(line)
        if code or not said + wrong and not is_silent:
            raise Wrong(f"exit status {code}\n{said}{wrong}")

    def background(self, line, name):
        """What runs until the end of its block."""
        words = shlex.split(line.removesuffix("&"))
        if words[0] == "culvert":
            doors = Doors(self.settings(words))
            for is_far, port in doors.targets():
                self.world.serve(is_far, port)
            self.running.append(self.shell("exec " + line.removesuffix("&"), name))
            doors.check(self.world, lambda: self.said(name))
        else:
            self.running.append(self.shell("exec " + line.removesuffix("&"), name))
            until(f"{words[0]} says something", lambda: self.said(name))

    def end_block(self):
        while self.running:
            self.end(self.running.pop())


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def main():
    with open(README) as file:
        found = list(blocks(file.read()))
    commands = [
        (number, without_comment(line))
        for number, (language, lines) in enumerate(found)
        if language in ("", "console", "sh")
        for line in lines
        if re.match(r"(culvert|culvert-load|ssh|scp|curl|psql) ", line)
    ]
    text = "\n".join(line for _, lines in found for line in lines)
    hosts = set(re.findall(r"[a-z][a-z0-9]*(?:\.[a-z]+)+|\b(?:server|bastion|gate|target|prod|db|cache|web|inner)\b", text))
    users = set(re.findall(r"\b([a-z]+)@[a-z]", text)) | set(re.findall(r"^ *User ([a-z]+)$", text, re.M))
    world = World(hosts - {"localhost"}, users)
    reader = Reader(world)
    for language, lines in found:
        if language == "toml":
            name = lines[0].removeprefix("# ")
            with open(f"{reader.place}/{name}", "w") as file:
                file.write("\n".join(lines) + "\n")
        elif lines and lines[0].startswith("# ~/.ssh/config"):
            with open(f"{HOME}/.ssh/config", "a") as file:
                file.write("\n".join(lines) + "\n")
    # Key files that examples name are the one key of this world.
    for name in set(re.findall(r"~/\.ssh/(\w+)", text)) - {"config", "known_hosts"}:
        if not os.path.exists(f"{HOME}/.ssh/{name}"):
            os.symlink("id_ed25519", f"{HOME}/.ssh/{name}")
    failed = 0
    block = None
    for index, (number, line) in enumerate(commands):
        if number != block:
            reader.end_block()
            block = number
        try:
            # A master is what the next lines of its block ask.
            if line.endswith("&") or line.startswith("culvert ") and " -M -S " in line:
                reader.background(line, f"example-{index}")
            else:
                reader.example(line, f"example-{index}")
            print(f"ok {line}", flush=True)
        except (Wrong, OSError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAILED {line}: {error}", flush=True)
    reader.end_block()
    world.close()
    print(f"{len(commands)} examples, {failed} failed")
    return 1 if failed or not commands else 0


sys.exit(main())

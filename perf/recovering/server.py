"""What stands at the server of a scene: sshd, which can be killed and started again, and an echo behind it; and a name
server."""

import os
import signal
import socket
import struct
import threading

from common import descendants, wait_listening
from link import inside

from .network import OTHER, SERVER, SSH_PORT

ECHO_PORT = 7777
NAME, NAME_SERVER = "server.test", "127.0.0.53"
TYPE_A = 1


def make_keys(stage):
    """Of all scenes of a run: the server's, the user's, and a known_hosts of every name that the server has."""
    for key in ("host", "login"):
        stage.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stage.path(key)])
    with open(stage.path("host.pub"), encoding="utf-8") as key:
        stage.write("known_hosts", f"{SERVER},{OTHER},{NAME} {key.read()}")
    os.makedirs("/run/sshd", exist_ok=True)


class Server:
    """An sshd of a scene's own. Its log goes on when it is started again."""

    def __init__(self, stage, name, namespace):
        self.stage, self.name, self.namespace = stage, f"{name}/sshd", namespace
        self.keys = stage.path(f"{name}/authorized_keys")
        self.let_in()
        self.configuration = stage.write(f"{name}/sshd_config", "\n".join([
            f"Port {SSH_PORT}", "ListenAddress 0.0.0.0", f"HostKey {stage.path('host')}", "PidFile none",
            f"AuthorizedKeysFile {self.keys}", "StrictModes no", "UsePAM no", ""]))
        self.child = None
        self.start()

    def start(self):
        with inside(self.namespace):
            self.child = self.stage.start(self.name, ["/usr/sbin/sshd", "-D", "-e", "-f", self.configuration])
            wait_listening(self.child, SSH_PORT)

    def kill(self):
        """First what listens, then the sessions: whoever loses one finds the port closed."""
        sessions = descendants(self.child.pid)
        self.stage.end(self.child, signal.SIGKILL)
        self.kill_sessions(sessions)

    def kill_sessions(self, pids=None):
        for pid in descendants(self.child.pid) if pids is None else pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                # It went with the one before.
                continue

    def keep_out(self):
        """As while the users' homes are not there yet."""
        os.remove(self.keys)

    def let_in(self):
        with open(self.stage.path("login.pub"), encoding="utf-8") as key, \
                open(self.keys + ".new", "w", encoding="utf-8") as keys:
            keys.write(key.read())
        os.rename(self.keys + ".new", self.keys)

    def logins(self):
        return self.stage.log(self.name).count("Accepted publickey")


class Echo:
    """Answers each connection with what it says."""

    def __init__(self, namespace):
        with inside(namespace):
            self.listener = socket.create_server(("127.0.0.1", ECHO_PORT), backlog=512)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    @staticmethod
    def answer(connection):
        with connection:
            try:
                while said := connection.recv(4096):
                    connection.sendall(said)
            except OSError:
                # A tunnel that was killed resets its connections.
                return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def answered(question, address):
    """A DNS server's answer: that address for a question of type A, and no data for any other (RFC 1035 §4.1)."""
    end = 12
    while question[end]:
        end += question[end] + 1
    end += 5
    (kind,) = struct.unpack_from("!H", question, end - 4)
    count = 1 if kind == TYPE_A else 0
    record = struct.pack("!HHHIH", 0xC00C, TYPE_A, 1, 5, 4) + socket.inet_aton(address) if count else b""
    return question[:2] + struct.pack("!HHHHH", 0x8580, 1, count, 0, 0) + question[12:end] + record


class NameServer:
    """Says of every name that it has the address in `address`."""

    def __init__(self, namespace, address):
        self.address = address
        with inside(namespace):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.socket.bind((NAME_SERVER, 53))
        self.socket.settimeout(0.5)
        self.ended = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended:
            try:
                question, client = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            self.socket.sendto(answered(question, self.address), client)
        self.socket.close()

    def close(self):
        self.ended = True
        self.thread.join()

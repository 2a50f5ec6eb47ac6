"""Two network namespaces joined by a cable: a client's, and a server's behind a limiter of new connections."""

import os
import socket
import struct
import threading
import time

from common import Failed
from link import inside

CLIENT, SERVER, OTHER = "10.99.1.1", "10.99.1.2", "10.99.1.3"
SSH_PORT = 22
# As `ufw limit` has it: the sixth new connection of an address within 30 s is refused, and counts too.
SPAN, REFUSED_FROM = 30, 6
# What befalls a connection that the limiter refuses; `RETURN`: nothing, it is counted alone.
REJECT, DROP, COUNT = "REJECT --reject-with icmp-port-unreachable", "DROP", "RETURN"

ETH_P_ALL = 3
TCP = 6
SYN, ACK = 0x02, 0x10

# `ip netns add` prepares /run/netns the first time, which two at once would do twice.
making = threading.Lock()


def limiter(target):
    """The rules of `ufw limit ssh`, for iptables-restore."""
    new = f"-A INPUT -p tcp --dport {SSH_PORT} -m conntrack --ctstate NEW -m recent --name ssh"
    return "\n".join([
        "*filter", ":INPUT ACCEPT [0:0]", ":refused - [0:0]",
        "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
        f"{new} --set",
        f"{new} --update --seconds {SPAN} --hitcount {REFUSED_FROM} -j refused",
        f"-A refused -j {target}",
        "COMMIT", ""])


def first_syn(packet):
    """(source port, sequence number) of an IPv4 packet that asks the SSH port for a connection; None for any other."""
    if len(packet) < 20 or packet[0] >> 4 != 4 or packet[9] != TCP:
        return None
    header = (packet[0] & 15) * 4
    if len(packet) < header + 14:
        return None
    source, destination, sequence = struct.unpack_from("!HHI", packet, header)
    if destination != SSH_PORT or packet[header + 13] & (SYN | ACK) != SYN:
        return None
    return source, sequence


def most_within(times, span):
    """The most of these (ascending) that any `span` held."""
    return max((sum(first <= each < first + span for each in times[index:]) for index, first in enumerate(times)),
               default=0)


class Syns(threading.Thread):
    """Notes every SYN that leaves on the cable, the kernel's repetitions included."""

    def __init__(self, namespace):
        super().__init__(daemon=True)
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            self.socket.bind(("cable", ETH_P_ALL))
        self.socket.settimeout(0.5)
        self.seen = []
        self.ended = False
        self.start()

    def run(self):
        while not self.ended:
            try:
                packet, (_, _, kind, *_) = self.socket.recvfrom(128)
            except TimeoutError:
                continue
            except OSError:
                # The device is down for now (ENETDOWN).
                time.sleep(0.01)
                continue
            syn = first_syn(packet) if kind == socket.PACKET_OUTGOING else None
            if syn:
                self.seen.append((time.monotonic(), syn))
        self.socket.close()

    def since(self, moment):
        """(when, which connection) of each."""
        return [each for each in self.seen if each[0] >= moment]

    def close(self):
        self.ended = True
        self.join()


class Network:
    """The namespaces of one scene. `refusal` is what the server's limiter does; it counts in every scene."""

    def __init__(self, stage, name, refusal=COUNT):
        self.stage, self.client, self.server = stage, f"{name}-c", f"{name}-s"
        with making:
            for namespace in (self.client, self.server):
                stage.run(["ip", "netns", "add", namespace])
        stage.run(["ip", "-n", self.client, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns",
                   self.server])
        for namespace, addresses in ((self.client, [CLIENT]), (self.server, [SERVER, OTHER])):
            for address in addresses:
                stage.run(["ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "cable"])
            for device in ("lo", "cable"):
                stage.run(["ip", "-n", namespace, "link", "set", device, "up"])
        rules = stage.write(f"{name}/limiter", limiter(refusal))
        with inside(self.server):
            stage.run(["iptables-restore", rules])
        self.syns = Syns(self.client)

    def rule(self, namespace, *words):
        with inside(namespace):
            return self.stage.run(["iptables", "-w", *words])

    def forget_knocks(self):
        """As when the tunnel had stood for longer than the limiter remembers."""
        with inside(self.server), open("/proc/thread-self/net/xt_recent/ssh", "w", encoding="ascii") as known:
            known.write("/")
        self.rule(self.server, "-Z", "refused")

    def refused(self):
        """How many SYNs the limiter has refused, or would have."""
        for line in self.rule(self.server, "-xvnL", "refused").splitlines()[2:]:
            return int(line.split()[0])
        raise Failed("the limiter's rules are gone")

    def cut(self):
        """Whatever is sent vanishes on the way, and neither side's devices say so."""
        for namespace in (self.client, self.server):
            self.rule(namespace, "-I", "INPUT", "-i", "cable", "-j", "DROP")

    def mend(self):
        for namespace in (self.client, self.server):
            self.rule(namespace, "-D", "INPUT", "-i", "cable", "-j", "DROP")

    def unplug(self):
        self.stage.run(["ip", "-n", self.client, "link", "set", "cable", "down"])

    def plug_in(self):
        self.stage.run(["ip", "-n", self.client, "link", "set", "cable", "up"])

    def lose_from_client(self, port):
        """Of the client's connections from that port, what they send vanishes."""
        self.rule(self.server, "-I", "INPUT", "-p", "tcp", "--sport", str(port), "--dport", str(SSH_PORT), "-j", "DROP")

    def lose_from_server(self, port):
        self.rule(self.client, "-I", "INPUT", "-p", "tcp", "--dport", str(port), "--sport", str(SSH_PORT), "-j", "DROP")

    def lose_address(self, address):
        """A host that is gone: nothing sent to it arrives, and nothing is said about that."""
        self.rule(self.server, "-I", "INPUT", "-d", address, "-j", "DROP")

    def client_ports(self):
        """Of the SSH connections that stand, as the server sees them."""
        with inside(self.server), open("/proc/thread-self/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return [int(row[2].rpartition(":")[2], 16) for row in rows
                if row[1].endswith(f":{SSH_PORT:04X}") and row[3] == "01"]

    def close(self):
        self.syns.close()
        for namespace in (self.client, self.server):
            if os.path.exists(f"/run/netns/{namespace}"):
                self.stage.run(["ip", "netns", "delete", namespace])

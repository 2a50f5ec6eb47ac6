"""An SSH server of Twisted Conch's that forwards whatever it is asked to, for whoever has the key.

usage: conch_server.py PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...
"""

import struct
import sys

from twisted.conch.avatar import ConchUser
from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.interfaces import IConchUser
from twisted.conch.openssh_compat.primes import parseModuliFile
from twisted.conch.ssh import factory, forwarding, keys, transport
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from zope.interface import implementer

PORT, AUTHORIZED, REKEY_BYTES, HOST_KEYS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]


class User(ConchUser):
    """Forwards as conch's own UnixConchUser does, but becomes nobody else for it."""

    def __init__(self):
        super().__init__()
        self.listeners = {}
        self.channelLookup[b"direct-tcpip"] = forwarding.openConnectForwardingClient

    def global_tcpip_forward(self, data):
        host, port = asked = forwarding.unpackGlobal_tcpip_forward(data)
        kind = forwarding.SSHListenServerForwardingChannel
        doors = forwarding.SSHListenForwardingFactory(self.conn, asked, kind)
        try:
            listener = reactor.listenTCP(port, doors, interface={"localhost": "127.0.0.1"}.get(host, host))
        except CannotListenError:
            return 0
        self.listeners[asked] = listener
        return 1 if port else (1, struct.pack(">L", listener.getHost().port))

    def global_cancel_tcpip_forward(self, data):
        listener = self.listeners.pop(forwarding.unpackGlobal_tcpip_forward(data), None)
        if listener:
            listener.stopListening()
        return 1 if listener else 0

    def logout(self):
        for listener in self.listeners.values():
            listener.stopListening()


@implementer(IRealm)
class Realm:
    def requestAvatar(self, name, mind, *interfaces):
        user = User()
        return IConchUser, user, user.logout


class Everybody(dict):
    """The same keys for whatever name."""

    def get(self, name, default=None):
        return self[""]


class Transport(transport.SSHServerTransport):
    """Conch answers a new exchange of keys, and leaves it to its user to begin one."""

    carried = 0

    def count(self, size):
        self.carried += size
        if self.carried >= REKEY_BYTES and self._keyExchangeState == self._KEY_EXCHANGE_NONE:
            self.carried = 0
            self.sendKexInit()

    def sendPacket(self, kind, payload):
        super().sendPacket(kind, payload)
        self.count(len(payload))

    def dispatchMessage(self, kind, payload):
        super().dispatchMessage(kind, payload)
        self.count(len(payload))


class Factory(factory.SSHFactory):
    protocol = Transport

    def __init__(self, portal):
        self.portal = portal
        found = [keys.Key.fromFile(path) for path in HOST_KEYS]
        self.privateKeys = {key.sshType(): key for key in found}
        self.publicKeys = {kind: key.public() for kind, key in self.privateKeys.items()}

    def getPrimes(self):
        # Each group is examined anew, 2048 bits for half a second, 8192 for a minute, while nobody is served.
        return {2048: parseModuliFile("/etc/ssh/moduli")[2048]}


with open(AUTHORIZED, "rb") as file:
    known = Everybody({"": [keys.Key.fromString(line) for line in file]})
reactor.listenTCP(
    PORT, Factory(Portal(Realm(), [SSHPublicKeyChecker(InMemorySSHKeyDB(known))])), interface="127.0.0.1"
)
print("listening", file=sys.stderr, flush=True)
reactor.run()

"""An SSH server of Twisted Conch's that forwards whatever it is asked to, for whoever has the key.

usage: conch_server.py PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...

REKEY_BYTES means nothing: Conch never begins a key exchange by itself.
"""

import sys

from twisted.conch.avatar import ConchUser
from twisted.conch.checkers import InMemorySSHKeyDB, SSHPublicKeyChecker
from twisted.conch.ssh import factory, forwarding, keys
from twisted.cred.portal import Portal
from twisted.internet import reactor

PORT, AUTHORIZED, HOST_KEYS = int(sys.argv[1]), sys.argv[2], sys.argv[4:]


class User(ConchUser):
    def __init__(self, name):
        super().__init__()
        self.name = name
        self.listeners = {}
        self.channelLookup = {b"direct-tcpip": forwarding.openConnectForwardingClient}

    def global_tcpip_forward(self, data):
        host, port = forwarding.unpackGlobal_tcpip_forward(data)
        factory_of_channels = forwarding.SSHListenForwardingFactory(
            self.conn, (host, port), forwarding.SSHListenServerForwardingChannel
        )
        try:
            interface = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(host.decode(), host.decode())
            listener = reactor.listenTCP(port, factory_of_channels, interface=interface)
        except Exception:  # noqa: BLE001: whatever stands against it, the client is told no.
            return 0
        self.listeners[host, port] = listener
        if port == 0:
            chosen = listener.getHost().port
            factory_of_channels.hostport = (host, chosen)
            return 1, chosen.to_bytes(4, "big")
        return 1

    def global_cancel_tcpip_forward(self, data):
        listener = self.listeners.pop(forwarding.unpackGlobal_tcpip_forward(data), None)
        if listener is None:
            return 0
        listener.stopListening()
        return 1

    def logout(self):
        for listener in self.listeners.values():
            listener.stopListening()


class Realm:
    def requestAvatar(self, name, mind, *interfaces):
        user = User(name)
        return interfaces[0], user, user.logout


class Names(dict):
    """Whoever asks has the same keys."""

    def get(self, name, default=None):
        return self[b"keys"]


server = factory.SSHFactory()
database = InMemorySSHKeyDB(Names({b"keys": [keys.Key.fromFile(AUTHORIZED)]}))
server.portal = Portal(Realm(), [SSHPublicKeyChecker(database)])
pairs = [keys.Key.fromFile(path) for path in HOST_KEYS]
server.privateKeys = {key.sshType(): key for key in pairs}
server.publicKeys = {name: key.public() for name, key in server.privateKeys.items()}
# RSA with SHA-2 are names of their own in Conch.
for name in (b"rsa-sha2-256", b"rsa-sha2-512"):
    if b"ssh-rsa" in server.privateKeys:
        server.privateKeys[name] = server.privateKeys[b"ssh-rsa"]
        server.publicKeys[name] = server.publicKeys[b"ssh-rsa"]
reactor.listenTCP(PORT, server, interface="127.0.0.1")
print("listening", file=sys.stderr, flush=True)
reactor.run()

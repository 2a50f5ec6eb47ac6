"""An SSH server of paramiko's that forwards whatever it is asked to, for whoever has the key.

usage: paramiko_server.py PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...
"""

import socket
import sys
import threading

import paramiko

PORT, AUTHORIZED, REKEY_BYTES, HOST_KEYS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
KEYS = [paramiko.PKey.from_path(path) for path in HOST_KEYS]


def pump(source, sink):
    """Carries one direction and its end."""
    try:
        while data := source.recv(32768):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        sink.close()


def join(channel, peer):
    """Carries both directions until both have ended."""
    threads = [threading.Thread(target=pump, args=ends, daemon=True) for ends in ((channel, peer), (peer, channel))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    channel.close()
    peer.close()


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport
        self.targets = {}
        self.listeners = {}

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        with open(AUTHORIZED) as file:
            known = [line.split()[1] for line in file]
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() in known else paramiko.AUTH_FAILED

    def check_channel_direct_tcpip_request(self, chanid, origin, destination):
        try:
            self.targets[chanid] = socket.create_connection(destination)
        except OSError:
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        return paramiko.OPEN_SUCCEEDED

    def check_port_forward_request(self, address, port):
        host = {"": "0.0.0.0", "localhost": "127.0.0.1"}.get(address, address)
        try:
            listener = self.listeners[address, port] = socket.create_server((host, port))
        except OSError:
            return False
        chosen = listener.getsockname()[1]
        threading.Thread(target=self.listen, args=(listener, address, chosen), daemon=True).start()
        return chosen

    def cancel_port_forward_request(self, address, port):
        if listener := self.listeners.pop((address, port), None):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def listen(self, listener, address, port):
        while True:
            try:
                peer, origin = listener.accept()
            except OSError:
                return
            channel = self.transport.open_forwarded_tcpip_channel(origin, (address, port))
            threading.Thread(target=join, args=(channel, peer), daemon=True).start()


def serve(connection):
    transport = paramiko.Transport(connection)
    transport.packetizer.REKEY_BYTES = REKEY_BYTES
    for key in KEYS:
        transport.add_server_key(key)
    server = Server(transport)
    transport.start_server(event=threading.Event(), server=server)
    while transport.is_active():
        if channel := transport.accept(1):
            threading.Thread(target=join, args=(channel, server.targets.pop(channel.get_id())), daemon=True).start()
    for address in list(server.listeners):
        server.cancel_port_forward_request(*address)


doors = socket.create_server(("127.0.0.1", PORT))
print("listening", file=sys.stderr, flush=True)
while True:
    threading.Thread(target=serve, args=(doors.accept()[0],), daemon=True).start()

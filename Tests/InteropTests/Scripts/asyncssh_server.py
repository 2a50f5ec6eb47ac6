"""An SSH server of AsyncSSH's that forwards whatever it is asked to, for whoever has the key.

usage: asyncssh_server.py PORT AUTHORIZED_KEYS REKEY_BYTES HOST_KEY...
"""

import asyncio
import sys

import asyncssh

PORT, AUTHORIZED, REKEY_BYTES, HOST_KEYS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]


class Server(asyncssh.SSHServer):
    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True

    def server_requested(self, listen_host, listen_port):
        return True


async def serve():
    await asyncssh.create_server(
        Server,
        "127.0.0.1",
        PORT,
        server_host_keys=HOST_KEYS,
        authorized_client_keys=AUTHORIZED,
        rekey_bytes=REKEY_BYTES,
    )
    print("listening", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


asyncio.run(serve())

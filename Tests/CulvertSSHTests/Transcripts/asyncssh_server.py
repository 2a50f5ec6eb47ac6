"""A server with ML-KEM for recording transcripts: AsyncSSH, which lets one key log in and dials what it is asked to.

usage: asyncssh_server.py PORT DIRECTORY AUTHORIZED_KEYS
"""

import asyncio
import sys

import asyncssh

PORT, DIRECTORY, KEYS = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Server(asyncssh.SSHServer):
    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True


async def main():
    key = DIRECTORY + "/host_key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(key)
    await asyncssh.create_server(
        Server, "127.0.0.1", PORT, server_host_keys=[key], authorized_client_keys=KEYS
    )
    await asyncio.Event().wait()


asyncio.run(main())

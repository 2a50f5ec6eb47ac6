"""An SSH server that asks for a password, as OpenSSH's may only for the machine's own users; AsyncSSH's, so another
implementation too.

usage: password_server.py PORT HOST_KEY METHOD PASSWORD

METHOD is "password" or "keyboard-interactive". Every login, right or wrong, is a line on standard error.
"""

import asyncio
import sys

import asyncssh

PORT, HOST_KEY, METHOD, PASSWORD = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return METHOD == "password"

    def kbdint_auth_supported(self):
        return METHOD == "keyboard-interactive"

    def public_key_auth_supported(self):
        return False

    def judge(self, password):
        say("accepted" if password == PASSWORD else "refused")
        return password == PASSWORD

    def validate_password(self, username, password):
        return self.judge(password)

    def get_kbdint_challenge(self, username, lang, submethods):
        return "", "", "", [("Token for the test: ", False)]

    def validate_kbdint_response(self, username, responses):
        return self.judge(responses[0] if len(responses) == 1 else None)

    def connection_requested(self, dest_host, dest_port, orig_host, orig_port):
        return True

    def server_requested(self, listen_host, listen_port):
        return True


async def serve():
    await asyncssh.create_server(Server, "127.0.0.1", PORT, server_host_keys=[HOST_KEY])
    say("listening")
    await asyncio.Event().wait()


asyncio.run(serve())

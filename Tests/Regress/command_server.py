#!/usr/bin/env python3
"""Runs commands for clients that reach it through a tunnel: what a session is to ssh in OpenSSH's regress scripts.

usage: command_server.py FILE    (writes "host:port" into FILE, then serves until it is ended)

A client sends a length (4 bytes, big-endian) and the command, then the command's standard input until it shuts its
half of the connection. It is answered in frames: a byte of kind (1 standard output, 2 standard error, 3 end), a length
and that many bytes; the end's are the exit code. The connection stays open after the end until the client closes it.
"""

import os
import socket
import struct
import subprocess
import sys
import threading

OUTPUT, ERRORS, END = 1, 2, 3
# What an sshd that is talked to through a ProxyCommand says of its client.
OVER_A_PIPE = "UNKNOWN 65535 UNKNOWN 65535"


def receive(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def serve(connection):
    sending = threading.Lock()

    def send(kind, data):
        with sending:
            connection.sendall(struct.pack(">BI", kind, len(data)) + data)

    def copy(kind, file):
        while data := os.read(file.fileno(), 65536):
            send(kind, data)

    def feed(file):
        try:
            while data := connection.recv(65536):
                file.write(data)
                file.flush()
        except OSError:
            pass
        try:
            file.close()
        except OSError:
            pass

    try:
        (length,) = struct.unpack(">I", receive(connection, 4))
        command = receive(connection, length).decode("utf-8", "surrogateescape")
        child = subprocess.Popen(
            ["/bin/sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, env=dict(os.environ, SSH_CONNECTION=OVER_A_PIPE),
        )
        copies = [threading.Thread(target=copy, args=pair) for pair in ((OUTPUT, child.stdout), (ERRORS, child.stderr))]
        feeding = threading.Thread(target=feed, args=(child.stdin,), daemon=True)
        for thread in copies + [feeding]:
            thread.start()
        for thread in copies:
            thread.join()
        code = child.wait()
        send(END, struct.pack(">I", code if code >= 0 else 128 - code))
        feeding.join()
    except (OSError, EOFError):
        pass
    finally:
        connection.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
        file.write("127.0.0.1:%d" % listener.getsockname()[1])
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()

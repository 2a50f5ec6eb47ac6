"""Runs a program with one socket as its standard input and output: on_socket.py INPUT PROGRAM [ARGUMENT …]

Sends the file INPUT to it, ends that direction, and writes what comes back to standard output. Ends with the program's
exit code.
"""

import socket
import subprocess
import sys
import threading


def main():
    ours, theirs = socket.socketpair()
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    process = subprocess.Popen(sys.argv[2:], stdin=theirs, stdout=theirs)
    theirs.close()

    def send():
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    while piece := ours.recv(65536):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())

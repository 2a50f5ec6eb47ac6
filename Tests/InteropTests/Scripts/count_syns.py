"""Counts the SYNs of a program at a server that swallows them: `count_syns.py SECONDS PROGRAM ARGUMENT…`.

The program runs in a network namespace of its own, where 10.9.7.2 is a neighbour that is not there, and is ended after so
many seconds. Prints how many SYNs it sent, and the most in any 30 s. Takes root.
"""

import ctypes
import os
import select
import socket
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000


def run(*words):
    subprocess.run(words, check=True)


def is_syn(frame):
    if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
        return False
    flags = frame[14 + (frame[14] & 15) * 4 + 13]
    return flags & 0x12 == 0x02


def main():
    seconds, words = float(sys.argv[1]), sys.argv[2:]
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise SystemExit("a network namespace cannot be had")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far")
    run("ip", "addr", "add", "10.9.7.1/24", "dev", "near")
    run("ip", "link", "set", "near", "up")
    run("ip", "link", "set", "far", "up")
    run("ip", "neigh", "add", "10.9.7.2", "lladdr", "02:00:00:00:00:99", "dev", "near", "nud", "permanent")
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    tap.bind(("far", 0))
    child = subprocess.Popen(words)
    moments, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([tap], [], [], left)[0] and is_syn(tap.recv(2048)):
            moments.append(time.monotonic())
    child.terminate()
    child.wait(10)
    most = max((sum(begin <= moment < begin + 30 for moment in moments) for begin in moments), default=0)
    print(f"{len(moments)} SYNs, {most} at most in 30 s", flush=True)


main()
